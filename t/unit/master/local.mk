# Unit tables of master.
UNIT_TESTS += t/unit/master/test_unix_paths
t_unit_master_test_unix_paths_SOURCES = t/unit/master/test_unix_paths.c master/unix_paths.c master/unix_paths.h
t_unit_master_test_unix_paths_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) -iquote $(top_srcdir)/master $(CMOCKA_CFLAGS)
t_unit_master_test_unix_paths_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)
