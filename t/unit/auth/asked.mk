# Unit tables of the sources that ask somebody else.
UNIT_TESTS += t/unit/auth/test_source_texts
t_unit_auth_test_source_texts_SOURCES = t/unit/auth/test_source_texts.c
t_unit_auth_test_source_texts_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_source_texts_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/auth/test_jwt
t_unit_auth_test_jwt_SOURCES = t/unit/auth/test_jwt.c
t_unit_auth_test_jwt_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_jwt_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/auth/test_oauth_claims
t_unit_auth_test_oauth_claims_SOURCES = t/unit/auth/test_oauth_claims.c
t_unit_auth_test_oauth_claims_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_oauth_claims_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/auth/test_dovecot_line
t_unit_auth_test_dovecot_line_SOURCES = t/unit/auth/test_dovecot_line.c
t_unit_auth_test_dovecot_line_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_dovecot_line_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)

# Asks one source as auth would, for t/e2e/test_sources.py.
check_PROGRAMS += t/e2e/source_probe
t_e2e_source_probe_SOURCES = t/e2e/source_probe.c
t_e2e_source_probe_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE)
t_e2e_source_probe_LDADD = $(AUTH_LINK)
