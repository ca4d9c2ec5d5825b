SMTP_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp -iquote $(top_srcdir)/t/unit/smtp
SMTP_LINK = smtp/libsmtp.a $(CLIENT_LINK)

UNIT_TESTS += t/unit/smtp/test_next_hop
t_unit_smtp_test_next_hop_SOURCES = t/unit/smtp/test_next_hop.c
t_unit_smtp_test_next_hop_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_next_hop_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_hosts
t_unit_smtp_test_hosts_SOURCES = t/unit/smtp/test_hosts.c
t_unit_smtp_test_hosts_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_hosts_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_reply_policy
t_unit_smtp_test_reply_policy_SOURCES = t/unit/smtp/test_reply_policy.c
t_unit_smtp_test_reply_policy_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_reply_policy_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_content
t_unit_smtp_test_content_SOURCES = t/unit/smtp/test_content.c t/unit/smtp/content_reference.h
t_unit_smtp_test_content_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_content_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_tls_policy
t_unit_smtp_test_tls_policy_SOURCES = t/unit/smtp/test_tls_policy.c
t_unit_smtp_test_tls_policy_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_tls_policy_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_tls_sessions
t_unit_smtp_test_tls_sessions_SOURCES = t/unit/smtp/test_tls_sessions.c
t_unit_smtp_test_tls_sessions_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_tls_sessions_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/smtp/test_tls_dane
t_unit_smtp_test_tls_dane_SOURCES = t/unit/smtp/test_tls_dane.c
t_unit_smtp_test_tls_dane_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_smtp_test_tls_dane_LDADD = $(SMTP_LINK) $(CMOCKA_LIBS)

# The client's code behind standard input and output, for t/e2e/test_smtp_client.py.
noinst_PROGRAMS += t/e2e/smtp_probe
t_e2e_smtp_probe_SOURCES = t/e2e/smtp_probe.c
t_e2e_smtp_probe_CPPFLAGS = $(AM_CPPFLAGS) $(SMTP_INCLUDE)
t_e2e_smtp_probe_LDADD = $(SMTP_LINK)
