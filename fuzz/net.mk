# Fuzz targets of lib/net.
# DNS
FUZZ_TARGETS += fuzz/fuzz_dns_packet
fuzz_fuzz_dns_packet_SOURCES = fuzz/fuzz_dns_packet.c fuzz/replay_main.c
fuzz_fuzz_dns_packet_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_dns_packet_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_resolv_conf
fuzz_fuzz_resolv_conf_SOURCES = fuzz/fuzz_resolv_conf.c fuzz/replay_main.c
fuzz_fuzz_resolv_conf_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_resolv_conf_LDADD = $(NET_LINK)
# Streams and addresses
FUZZ_TARGETS += fuzz/fuzz_proxy
fuzz_fuzz_proxy_SOURCES = fuzz/fuzz_proxy.c fuzz/replay_main.c
fuzz_fuzz_proxy_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_proxy_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_endpoint
fuzz_fuzz_endpoint_SOURCES = fuzz/fuzz_endpoint.c fuzz/replay_main.c
fuzz_fuzz_endpoint_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_endpoint_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_stream_line
fuzz_fuzz_stream_line_SOURCES = fuzz/fuzz_stream_line.c fuzz/replay_main.c
fuzz_fuzz_stream_line_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_stream_line_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_url
fuzz_fuzz_url_SOURCES = fuzz/fuzz_url.c fuzz/replay_main.c
fuzz_fuzz_url_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_url_LDADD = $(NET_LINK)
# TLS
FUZZ_TARGETS += fuzz/fuzz_tls_texts
fuzz_fuzz_tls_texts_SOURCES = fuzz/fuzz_tls_texts.c fuzz/replay_main.c
fuzz_fuzz_tls_texts_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_tls_texts_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_tls_signed
fuzz_fuzz_tls_signed_SOURCES = fuzz/fuzz_tls_signed.c fuzz/replay_main.c
fuzz_fuzz_tls_signed_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_tls_signed_LDADD = $(NET_LINK)
FUZZ_TARGETS += fuzz/fuzz_tls_chain
fuzz_fuzz_tls_chain_SOURCES = fuzz/fuzz_tls_chain.c fuzz/replay_main.c
fuzz_fuzz_tls_chain_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
fuzz_fuzz_tls_chain_LDADD = $(NET_LINK)
