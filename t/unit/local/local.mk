# Unit tables of local: the steps of a worker, called directly.
LOCAL_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/local $(CMOCKA_CFLAGS)
LOCAL_TEST_LDADD = local/libworker.a $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/local/test_content t/unit/local/test_maildir t/unit/local/test_mbox t/unit/local/test_forward \
	t/unit/local/test_command t/unit/local/test_worker
t_unit_local_test_content_SOURCES = t/unit/local/test_content.c t/unit/local/setup.h
t_unit_local_test_content_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_content_LDADD = $(LOCAL_TEST_LDADD)
t_unit_local_test_maildir_SOURCES = t/unit/local/test_maildir.c t/unit/local/setup.h
t_unit_local_test_maildir_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_maildir_LDADD = $(LOCAL_TEST_LDADD)
t_unit_local_test_mbox_SOURCES = t/unit/local/test_mbox.c t/unit/local/setup.h
t_unit_local_test_mbox_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_mbox_LDADD = $(LOCAL_TEST_LDADD)
t_unit_local_test_forward_SOURCES = t/unit/local/test_forward.c t/unit/local/setup.h
t_unit_local_test_forward_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_forward_LDADD = $(LOCAL_TEST_LDADD)
t_unit_local_test_command_SOURCES = t/unit/local/test_command.c t/unit/local/setup.h
t_unit_local_test_command_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_command_LDADD = $(LOCAL_TEST_LDADD)
t_unit_local_test_worker_SOURCES = t/unit/local/test_worker.c t/unit/local/setup.h
t_unit_local_test_worker_CPPFLAGS = $(LOCAL_TEST_CPPFLAGS)
t_unit_local_test_worker_LDADD = $(LOCAL_TEST_LDADD)
