noinst_LIBRARIES += lib/service/libservice.a
lib_service_libservice_a_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
lib_service_libservice_a_SOURCES =
