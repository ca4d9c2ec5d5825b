noinst_LIBRARIES += lib/net/libnet.a
lib_net_libnet_a_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
lib_net_libnet_a_SOURCES =
# DNS
lib_net_libnet_a_SOURCES += \
	lib/net/dns.c lib/net/dns.h \
	lib/net/dns_cache.c lib/net/dns_cache.h \
	lib/net/dns_packet.c lib/net/dns_packet.h \
	lib/net/dns_transport.c lib/net/dns_transport.h \
	lib/net/resolv_conf.c lib/net/resolv_conf.h
# Streams and addresses
lib_net_libnet_a_SOURCES += \
	lib/net/endpoint.c lib/net/endpoint.h \
	lib/net/proxy_protocol.c lib/net/proxy_protocol.h \
	lib/net/stream.c lib/net/stream.h
# TLS
lib_net_libnet_a_SOURCES += lib/net/tls.h lib/net/tls_key.c lib/net/tls_key.h
