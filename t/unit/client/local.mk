# Unit tables of lib/client.
UNIT_TESTS += t/unit/client/test_intake
t_unit_client_test_intake_SOURCES = t/unit/client/test_intake.c
t_unit_client_test_intake_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_client_test_intake_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/client/test_resolve
t_unit_client_test_resolve_SOURCES = t/unit/client/test_resolve.c
t_unit_client_test_resolve_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_client_test_resolve_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/client/test_delivery_log
t_unit_client_test_delivery_log_SOURCES = t/unit/client/test_delivery_log.c
t_unit_client_test_delivery_log_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_client_test_delivery_log_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/client/test_tls_suite
t_unit_client_test_tls_suite_SOURCES = t/unit/client/test_tls_suite.c
t_unit_client_test_tls_suite_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_client_test_tls_suite_LDADD = $(CLIENT_LINK) $(CMOCKA_LIBS)
