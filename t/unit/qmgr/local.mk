# Unit tables of the queue manager: each links some of its files, and stands in for the others.
QMGR_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/qmgr -iquote $(top_srcdir)/t/unit/qmgr -iquote $(top_srcdir)/t/unit/ctl
QMGR_FIXTURE = t/unit/qmgr/qmgr_fixture.c t/unit/qmgr/qmgr_fixture.h
UNIT_TESTS += t/unit/qmgr/test_destination
t_unit_qmgr_test_destination_SOURCES = t/unit/qmgr/test_destination.c $(QMGR_FIXTURE) qmgr/destination.c
t_unit_qmgr_test_destination_CPPFLAGS = $(AM_CPPFLAGS) $(QMGR_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_qmgr_test_destination_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=clock_date
t_unit_qmgr_test_destination_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/qmgr/test_message
t_unit_qmgr_test_message_SOURCES = t/unit/qmgr/test_message.c $(QMGR_FIXTURE) t/unit/ctl/queue_fixture.c \
	t/unit/ctl/queue_fixture.h qmgr/activate.c qmgr/message.c qmgr/change.c qmgr/change_at_rest.c qmgr/move.c qmgr/destination.c
t_unit_qmgr_test_message_CPPFLAGS = $(AM_CPPFLAGS) $(QMGR_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_qmgr_test_message_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/qmgr/test_deferred
t_unit_qmgr_test_deferred_SOURCES = t/unit/qmgr/test_deferred.c $(QMGR_FIXTURE) t/unit/ctl/queue_fixture.c \
	t/unit/ctl/queue_fixture.h qmgr/deferred.c qmgr/take_up.c qmgr/move.c qmgr/destination.c
t_unit_qmgr_test_deferred_CPPFLAGS = $(AM_CPPFLAGS) $(QMGR_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_qmgr_test_deferred_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/qmgr/test_finish
t_unit_qmgr_test_finish_SOURCES = t/unit/qmgr/test_finish.c $(QMGR_FIXTURE) t/unit/ctl/queue_fixture.c \
	t/unit/ctl/queue_fixture.h qmgr/finish.c qmgr/message.c qmgr/move.c qmgr/destination.c
t_unit_qmgr_test_finish_CPPFLAGS = $(AM_CPPFLAGS) $(QMGR_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_qmgr_test_finish_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/qmgr/test_report
t_unit_qmgr_test_report_SOURCES = t/unit/qmgr/test_report.c $(QMGR_FIXTURE) t/unit/ctl/queue_fixture.c \
	t/unit/ctl/queue_fixture.h qmgr/finish.c qmgr/message.c qmgr/destination.c
t_unit_qmgr_test_report_CPPFLAGS = $(AM_CPPFLAGS) $(QMGR_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_qmgr_test_report_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
