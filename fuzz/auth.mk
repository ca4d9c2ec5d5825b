# Fuzz targets of auth.
FUZZ_TARGETS += fuzz/fuzz_sasl_message fuzz/fuzz_account_line fuzz/fuzz_password_hash fuzz/fuzz_auth_state
fuzz_fuzz_sasl_message_SOURCES = fuzz/fuzz_sasl_message.c fuzz/replay_main.c
fuzz_fuzz_sasl_message_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_sasl_message_LDADD = $(AUTH_LINK)
fuzz_fuzz_account_line_SOURCES = fuzz/fuzz_account_line.c fuzz/replay_main.c ctl/password_file.c
fuzz_fuzz_account_line_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) -iquote $(top_srcdir)/ctl
fuzz_fuzz_account_line_LDADD = $(AUTH_LINK)
fuzz_fuzz_password_hash_SOURCES = fuzz/fuzz_password_hash.c fuzz/replay_main.c
fuzz_fuzz_password_hash_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_password_hash_LDADD = $(AUTH_LINK)
fuzz_fuzz_auth_state_SOURCES = fuzz/fuzz_auth_state.c fuzz/replay_main.c
fuzz_fuzz_auth_state_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_auth_state_LDADD = $(AUTH_LINK)
