# Unit tables of auth.
UNIT_TESTS += t/unit/auth/test_password_hash t/unit/auth/test_sasl_message t/unit/auth/test_failures \
	t/unit/auth/test_account_line
t_unit_auth_test_password_hash_SOURCES = t/unit/auth/test_password_hash.c
t_unit_auth_test_password_hash_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_password_hash_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
t_unit_auth_test_sasl_message_SOURCES = t/unit/auth/test_sasl_message.c
t_unit_auth_test_sasl_message_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_sasl_message_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
t_unit_auth_test_failures_SOURCES = t/unit/auth/test_failures.c
t_unit_auth_test_failures_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_failures_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
t_unit_auth_test_account_line_SOURCES = t/unit/auth/test_account_line.c
t_unit_auth_test_account_line_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_auth_test_account_line_LDADD = $(AUTH_LINK) $(CMOCKA_LIBS)
