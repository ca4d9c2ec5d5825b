# Unit tables of lib/service.
UNIT_TESTS += t/unit/service/test_ipc_codec
t_unit_service_test_ipc_codec_SOURCES = t/unit/service/test_ipc_codec.c
t_unit_service_test_ipc_codec_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_service_test_ipc_codec_LDADD = $(SERVICE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/service/test_ipc
t_unit_service_test_ipc_SOURCES = t/unit/service/test_ipc.c
t_unit_service_test_ipc_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_service_test_ipc_LDADD = $(SERVICE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/service/test_sandbox
t_unit_service_test_sandbox_SOURCES = t/unit/service/test_sandbox.c
t_unit_service_test_sandbox_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_service_test_sandbox_LDADD = $(SERVICE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/service/test_service
t_unit_service_test_service_SOURCES = t/unit/service/test_service.c
t_unit_service_test_service_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_service_test_service_LDADD = $(SERVICE_LINK) $(CMOCKA_LIBS)
