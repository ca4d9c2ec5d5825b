noinst_LIBRARIES += lib/client/libclient.a
lib_client_libclient_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
lib_client_libclient_a_SOURCES = lib/client/intake.c lib/client/intake.h lib/client/auth.c lib/client/auth.h lib/client/resolve.c lib/client/resolve.h lib/client/delivery_log.c \
	lib/client/delivery_log.h lib/client/keys.c lib/client/keys.h lib/client/tls_roots.c lib/client/tls_roots.h lib/client/tls_suite.c lib/client/tls_suite.h \
	lib/client/session_channel.c lib/client/front_session.c lib/client/session_channel.h \
	lib/client/front.c lib/client/front.h lib/client/front_dialogue.c lib/client/front_dialogue.h lib/client/front_limits.c lib/client/front_limits.h \
	lib/client/permission.c lib/client/permission.h \
	lib/client/front_watches.c lib/client/front_watches.h lib/client/front_still_here.c lib/client/front_still_here.h
