# Unit tables of bounce.
BOUNCE_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/bounce
UNIT_TESTS += t/unit/bounce/test_template
t_unit_bounce_test_template_SOURCES = t/unit/bounce/test_template.c
t_unit_bounce_test_template_CPPFLAGS = $(AM_CPPFLAGS) $(BOUNCE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_bounce_test_template_LDADD = $(MAIL_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/bounce/test_notice
t_unit_bounce_test_notice_SOURCES = t/unit/bounce/test_notice.c bounce/notice.c
t_unit_bounce_test_notice_CPPFLAGS = $(AM_CPPFLAGS) $(BOUNCE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_bounce_test_notice_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
