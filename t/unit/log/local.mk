# Unit tables of the log daemon.
UNIT_TESTS += t/unit/log/test_record
t_unit_log_test_record_SOURCES = t/unit/log/test_record.c log/record.c
t_unit_log_test_record_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE) -iquote $(top_srcdir)/log $(CMOCKA_CFLAGS)
t_unit_log_test_record_LDADD = $(BASE_LINK) $(CMOCKA_LIBS)
