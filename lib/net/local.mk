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
	lib/net/stream.c lib/net/stream.h \
	lib/net/url.c lib/net/url.h
# TLS
lib_net_libnet_a_SOURCES += lib/net/tls.h lib/net/tls_key.h lib/net/tls_internal.h \
	lib/net/tls_chain.c lib/net/tls_chain.h \
	lib/net/tls_client_hello.c lib/net/tls_client_hello.h \
	lib/net/tls_connection.c \
	lib/net/descriptor_pass.c lib/net/descriptor_pass.h \
	lib/net/tls_library.c lib/net/tls_context.c \
	lib/net/tls_facts.c \
	lib/net/tls_key.c \
	lib/net/tls_protocols.c lib/net/tls_protocols.h \
	lib/net/tls_server.c \
	lib/net/tls_session.c lib/net/tls_session.h \
	lib/net/tls_signed.c lib/net/tls_signed.h \
	lib/net/tls_verify.c
