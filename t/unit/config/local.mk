# t/unit/config
UNIT_TESTS += t/unit/config/test_main_cf t/unit/config/test_config t/unit/config/test_master_cf \
	t/unit/config/test_config_edit
t_unit_config_test_main_cf_SOURCES = t/unit/config/test_main_cf.c
t_unit_config_test_main_cf_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_config_test_main_cf_LDADD = $(CONFIG_LINK) $(CMOCKA_LIBS)
t_unit_config_test_config_SOURCES = t/unit/config/test_config.c
t_unit_config_test_config_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_config_test_config_LDADD = $(CONFIG_LINK) $(CMOCKA_LIBS)
t_unit_config_test_master_cf_SOURCES = t/unit/config/test_master_cf.c
t_unit_config_test_master_cf_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_config_test_master_cf_LDADD = $(CONFIG_LINK) $(CMOCKA_LIBS)
t_unit_config_test_config_edit_SOURCES = t/unit/config/test_config_edit.c
t_unit_config_test_config_edit_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_config_test_config_edit_LDADD = $(CONFIG_LINK) $(CMOCKA_LIBS)
# PARAMETER_LATER holds against the sources
TESTS += t/unit/config/unread
EXTRA_DIST += t/unit/config/unread
