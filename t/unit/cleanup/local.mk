# Unit tables of cleanup, and of the directory syncs that it shares with qmgr.
UNIT_TESTS += t/unit/cleanup/test_directory_sync
t_unit_cleanup_test_directory_sync_SOURCES = t/unit/cleanup/test_directory_sync.c
t_unit_cleanup_test_directory_sync_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_cleanup_test_directory_sync_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=fsync
t_unit_cleanup_test_directory_sync_LDADD = $(QUEUE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/cleanup/test_expand
t_unit_cleanup_test_expand_SOURCES = t/unit/cleanup/test_expand.c cleanup/expand.c cleanup/open.c cleanup/ids.c
t_unit_cleanup_test_expand_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/cleanup $(CMOCKA_CFLAGS)
t_unit_cleanup_test_expand_LDADD = $(SERVICE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/cleanup/test_ids
t_unit_cleanup_test_ids_SOURCES = t/unit/cleanup/test_ids.c cleanup/ids.c
t_unit_cleanup_test_ids_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/cleanup $(CMOCKA_CFLAGS)
t_unit_cleanup_test_ids_LDADD = $(QUEUE_LINK) $(CMOCKA_LIBS)
