# Unit tables of smtpd.
UNIT_TESTS += t/unit/smtpd/test_content_scan
t_unit_smtpd_test_content_scan_SOURCES = t/unit/smtpd/test_content_scan.c smtpd/content_scan.c smtpd/content_scan.h
t_unit_smtpd_test_content_scan_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE) -iquote $(top_srcdir)/smtpd $(CMOCKA_CFLAGS)
t_unit_smtpd_test_content_scan_LDADD = $(MAIL_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtpd/test_content_header
t_unit_smtpd_test_content_header_SOURCES = t/unit/smtpd/test_content_header.c smtpd/content_header.c smtpd/content_header.h
t_unit_smtpd_test_content_header_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE) -iquote $(top_srcdir)/smtpd $(CMOCKA_CFLAGS)
t_unit_smtpd_test_content_header_LDADD = $(MAIL_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtpd/test_policy_words
t_unit_smtpd_test_policy_words_SOURCES = t/unit/smtpd/test_policy_words.c smtpd/access_action.c smtpd/access_action.h
t_unit_smtpd_test_policy_words_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) -iquote $(top_srcdir)/smtpd $(CMOCKA_CFLAGS)
t_unit_smtpd_test_policy_words_LDADD = $(CONFIG_LINK) $(CMOCKA_LIBS)
