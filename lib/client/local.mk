noinst_LIBRARIES += lib/client/libclient.a
lib_client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
lib_client_libclient_a_SOURCES =
