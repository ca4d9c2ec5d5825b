noinst_LIBRARIES += lib/client/libclient.a
lib_client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
lib_client_libclient_a_SOURCES = lib/client/intake.c lib/client/intake.h lib/client/auth.c lib/client/auth.h lib/client/resolve.c lib/client/resolve.h lib/client/delivery_log.c \
	lib/client/delivery_log.h
