# Fuzz targets of lib/client and of the SMTP client.
FUZZ_TARGETS += fuzz/fuzz_smtp_content
fuzz_fuzz_smtp_content_SOURCES = fuzz/fuzz_smtp_content.c fuzz/replay_main.c
fuzz_fuzz_smtp_content_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp -iquote $(top_srcdir)/t/unit/smtp
fuzz_fuzz_smtp_content_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_next_hop
fuzz_fuzz_next_hop_SOURCES = fuzz/fuzz_next_hop.c fuzz/replay_main.c
fuzz_fuzz_next_hop_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
fuzz_fuzz_next_hop_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_token_grant
fuzz_fuzz_token_grant_SOURCES = fuzz/fuzz_token_grant.c fuzz/replay_main.c
fuzz_fuzz_token_grant_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
fuzz_fuzz_token_grant_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
