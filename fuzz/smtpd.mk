# Fuzz targets of smtpd.
FUZZ_TARGETS += fuzz/fuzz_smtpd_content
fuzz_fuzz_smtpd_content_SOURCES = fuzz/fuzz_smtpd_content.c fuzz/replay_main.c smtpd/content_scan.c smtpd/content_header.c
fuzz_fuzz_smtpd_content_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE) -iquote $(top_srcdir)/smtpd
fuzz_fuzz_smtpd_content_LDADD = $(MAIL_LINK)
FUZZ_TARGETS += fuzz/fuzz_access_action
fuzz_fuzz_access_action_SOURCES = fuzz/fuzz_access_action.c fuzz/replay_main.c smtpd/access_action.c
fuzz_fuzz_access_action_CPPFLAGS = $(AM_CPPFLAGS) $(CONFIG_INCLUDE) -iquote $(top_srcdir)/smtpd
fuzz_fuzz_access_action_LDADD = $(CONFIG_LINK)
