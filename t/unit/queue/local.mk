# Unit tables of lib/queue
UNIT_TESTS += t/unit/queue/test_queue_file
t_unit_queue_test_queue_file_SOURCES = t/unit/queue/test_queue_file.c
t_unit_queue_test_queue_file_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_queue_test_queue_file_LDADD = lib/queue/libqueue.a $(BASE_LINK) $(LMDB_LIBS) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/queue/test_queue_id
t_unit_queue_test_queue_id_SOURCES = t/unit/queue/test_queue_id.c
t_unit_queue_test_queue_id_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_queue_test_queue_id_LDADD = lib/queue/libqueue.a $(BASE_LINK) $(LMDB_LIBS) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/queue/test_schedule
t_unit_queue_test_schedule_SOURCES = t/unit/queue/test_schedule.c
t_unit_queue_test_schedule_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_queue_test_schedule_LDADD = lib/queue/libqueue.a $(BASE_LINK) $(LMDB_LIBS) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/queue/test_login_usage
t_unit_queue_test_login_usage_SOURCES = t/unit/queue/test_login_usage.c
t_unit_queue_test_login_usage_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_queue_test_login_usage_LDADD = $(QUEUE_LINK) $(CMOCKA_LIBS)
