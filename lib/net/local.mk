noinst_LIBRARIES += lib/net/libnet.a
lib_net_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
lib_net_libnet_a_SOURCES =
