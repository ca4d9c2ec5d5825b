# Unit tables of the queue commands
CTL_TEST_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) -iquote $(top_srcdir)/ctl $(JANSSON_CFLAGS) $(CMOCKA_CFLAGS)
CTL_TEST_LDADD = $(SERVICE_LINK) $(JANSSON_LIBS) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/ctl/test_queue_listing
t_unit_ctl_test_queue_listing_SOURCES = t/unit/ctl/test_queue_listing.c ctl/queue_listing.c ctl/queue_selection.c ctl/queue_change.c ctl/queue_tool.c
t_unit_ctl_test_queue_listing_CPPFLAGS = $(CTL_TEST_CPPFLAGS)
t_unit_ctl_test_queue_listing_LDADD = $(CTL_TEST_LDADD)
UNIT_TESTS += t/unit/ctl/test_queue_shape
t_unit_ctl_test_queue_shape_SOURCES = t/unit/ctl/test_queue_shape.c ctl/queue_shape.c
t_unit_ctl_test_queue_shape_CPPFLAGS = $(CTL_TEST_CPPFLAGS)
t_unit_ctl_test_queue_shape_LDADD = $(CTL_TEST_LDADD)
UNIT_TESTS += t/unit/ctl/test_queue_offline
t_unit_ctl_test_queue_offline_SOURCES = t/unit/ctl/test_queue_offline.c t/unit/ctl/queue_fixture.c t/unit/ctl/queue_fixture.h \
	ctl/queue_source.c ctl/queue_change.c ctl/queue_check.c ctl/cat_envelope.c ctl/queue_tool.c
t_unit_ctl_test_queue_offline_CPPFLAGS = $(CTL_TEST_CPPFLAGS)
t_unit_ctl_test_queue_offline_LDADD = $(CTL_TEST_LDADD)
# A queue made by hand, for trying the commands on: make_queue DIRECTORY
check_PROGRAMS += t/unit/ctl/make_queue
t_unit_ctl_make_queue_SOURCES = t/unit/ctl/make_queue.c t/unit/ctl/queue_fixture.c t/unit/ctl/queue_fixture.h
t_unit_ctl_make_queue_CPPFLAGS = $(CTL_TEST_CPPFLAGS)
t_unit_ctl_make_queue_LDADD = $(SERVICE_LINK)
TESTS += t/unit/ctl/test_commands.sh
EXTRA_DIST += t/unit/ctl/test_commands.sh
# The manual pages name what there is
TESTS += t/unit/ctl/pages
EXTRA_DIST += t/unit/ctl/pages
UNIT_TESTS += t/unit/ctl/test_password_file
t_unit_ctl_test_password_file_SOURCES = t/unit/ctl/test_password_file.c ctl/password_file.c ctl/password_file.h
t_unit_ctl_test_password_file_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE) -iquote $(top_srcdir)/ctl $(CMOCKA_CFLAGS)
t_unit_ctl_test_password_file_LDADD = $(BASE_LINK) $(CMOCKA_LIBS)
