noinst_LIBRARIES += lib/config/libconfig.a
lib_config_libconfig_a_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) $(PATHS_CPPFLAGS)
lib_config_libconfig_a_SOURCES = \
	lib/config/config.h lib/config/config_load.h \
	lib/config/parameter.h lib/config/parameter_table.c lib/config/parameters.def lib/config/foreign.def \
	lib/config/config_lines.c lib/config/config_lines.h \
	lib/config/main_cf.c lib/config/main_cf_expand.c lib/config/main_cf.h \
	lib/config/config_value.c lib/config/config_value.h \
	lib/config/config_sheet.c lib/config/config_sheet.h \
	lib/config/master_cf.c lib/config/master_cf.h \
	lib/config/restriction_list.c lib/config/restriction_list.h \
	lib/config/restriction_words.c lib/config/restriction_words.h lib/config/restrictions.def \
	lib/config/restriction_check.c lib/config/restriction_check.h \
	lib/config/config_edit.c lib/config/config_edit.h \
	lib/config/config_system.c lib/config/config_load.c lib/config/config_seal.c lib/config/config_file.c lib/config/config_file.h
