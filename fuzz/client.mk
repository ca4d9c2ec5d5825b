# Fuzz targets of lib/client and of the SMTP client.
FUZZ_TARGETS += fuzz/fuzz_smtp_content
fuzz_fuzz_smtp_content_SOURCES = fuzz/fuzz_smtp_content.c fuzz/replay_main.c
fuzz_fuzz_smtp_content_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp -iquote $(top_srcdir)/t/unit/smtp
fuzz_fuzz_smtp_content_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_next_hop
fuzz_fuzz_next_hop_SOURCES = fuzz/fuzz_next_hop.c fuzz/replay_main.c
fuzz_fuzz_next_hop_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
fuzz_fuzz_next_hop_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_tls_policy
fuzz_fuzz_tls_policy_SOURCES = fuzz/fuzz_tls_policy.c fuzz/replay_main.c
fuzz_fuzz_tls_policy_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
fuzz_fuzz_tls_policy_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_tlsa
fuzz_fuzz_tlsa_SOURCES = fuzz/fuzz_tlsa.c fuzz/replay_main.c
fuzz_fuzz_tlsa_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
fuzz_fuzz_tlsa_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
