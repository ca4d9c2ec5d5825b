# Fuzz targets of the sources that ask somebody else.
FUZZ_TARGETS += fuzz/fuzz_jwt
fuzz_fuzz_jwt_SOURCES = fuzz/fuzz_jwt.c fuzz/replay_main.c
fuzz_fuzz_jwt_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_jwt_LDADD = $(AUTH_LINK)
FUZZ_TARGETS += fuzz/fuzz_dovecot_line
fuzz_fuzz_dovecot_line_SOURCES = fuzz/fuzz_dovecot_line.c fuzz/replay_main.c
fuzz_fuzz_dovecot_line_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_dovecot_line_LDADD = $(AUTH_LINK)
FUZZ_TARGETS += fuzz/fuzz_source_texts
fuzz_fuzz_source_texts_SOURCES = fuzz/fuzz_source_texts.c fuzz/replay_main.c
fuzz_fuzz_source_texts_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
fuzz_fuzz_source_texts_LDADD = $(AUTH_LINK)

PARSERS += auth/jwt.c auth/jwt_text.c auth/jwt_keys.c auth/oauth_claims.c auth/dovecot_line.c auth/sql_query.c auth/source_template.c \
	auth/source_settings.c auth/source_hosts.c auth/ldap_escape.c auth/account_builder.c
