# End-to-end tests: TAP scripts over private instances (t/e2e/tern_test.py).
EXTRA_DIST += t/e2e/tern_test.py t/e2e/test_master.py

# Stands in for any daemon in test_master.py.
check_PROGRAMS += t/e2e/echo_service
t_e2e_echo_service_SOURCES = t/e2e/echo_service.c
t_e2e_echo_service_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
t_e2e_echo_service_LDADD = $(SERVICE_LINK)

# smtpd in an attacker's hands, for test_hijacked.py: smtpd's own objects, with NOOP's handler replaced.
check_PROGRAMS += t/e2e/hijacked_smtpd
t_e2e_hijacked_smtpd_SOURCES = t/e2e/hijacked_smtpd.c t/e2e/hijacked.c t/e2e/hijacked.h
t_e2e_hijacked_smtpd_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtpd
t_e2e_hijacked_smtpd_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=cmd_noop
t_e2e_hijacked_smtpd_LDADD = $(smtpd_smtpd_OBJECTS) $(CLIENT_LINK)

# imapd in the same hands, for test_hijacked_imapd.py: attacks before the login, and all that passes by is kept.
check_PROGRAMS += t/e2e/hijacked_imapd
t_e2e_hijacked_imapd_SOURCES = t/e2e/hijacked_imapd.c t/e2e/hijacked.c t/e2e/hijacked.h
t_e2e_hijacked_imapd_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
t_e2e_hijacked_imapd_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=front_read_line -Wl,--wrap=front_session_run
t_e2e_hijacked_imapd_LDADD = $(imapd_imapd_OBJECTS) imapd/libimap.a $(CLIENT_LINK) $(ZLIB_LIBS)

# Asks fetch, for test_mta_sts.py.
noinst_PROGRAMS += t/e2e/fetch_probe
t_e2e_fetch_probe_SOURCES = t/e2e/fetch_probe.c
t_e2e_fetch_probe_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
t_e2e_fetch_probe_LDADD = $(SERVICE_LINK)

# TLS over keys without SMTP, for test_keys.py.
check_PROGRAMS += t/e2e/keys_probe
t_e2e_keys_probe_SOURCES = t/e2e/keys_probe.c
t_e2e_keys_probe_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
t_e2e_keys_probe_LDADD = $(CLIENT_LINK)
