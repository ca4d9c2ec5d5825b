noinst_LIBRARIES += lib/service/libservice.a
lib_service_libservice_a_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
lib_service_libservice_a_SOURCES =
lib_service_libservice_a_SOURCES += lib/service/ipc_codec.c lib/service/ipc_codec.h lib/service/ipc.h lib/service/ipc_messages.def
