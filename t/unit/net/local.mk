# t/unit/net
# DNS
UNIT_TESTS += t/unit/net/test_dns_packet
t_unit_net_test_dns_packet_SOURCES = t/unit/net/test_dns_packet.c
t_unit_net_test_dns_packet_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_dns_packet_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
noinst_PROGRAMS += t/dns_probe
t_dns_probe_SOURCES = t/dns_probe.c
t_dns_probe_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE)
t_dns_probe_LDADD = $(NET_LINK)
UNIT_TESTS += t/unit/net/test_resolv_conf
t_unit_net_test_resolv_conf_SOURCES = t/unit/net/test_resolv_conf.c
t_unit_net_test_resolv_conf_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_resolv_conf_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/net/test_dns
t_unit_net_test_dns_SOURCES = t/unit/net/test_dns.c
t_unit_net_test_dns_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_dns_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/net/test_stream
t_unit_net_test_stream_SOURCES = t/unit/net/test_stream.c
t_unit_net_test_stream_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_stream_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/net/test_endpoint
t_unit_net_test_endpoint_SOURCES = t/unit/net/test_endpoint.c
t_unit_net_test_endpoint_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_endpoint_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/net/test_proxy
t_unit_net_test_proxy_SOURCES = t/unit/net/test_proxy.c
t_unit_net_test_proxy_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_proxy_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
# TLS
UNIT_TESTS += t/unit/net/test_tls_key
t_unit_net_test_tls_key_SOURCES = t/unit/net/test_tls_key.c
t_unit_net_test_tls_key_CPPFLAGS = $(AM_CPPFLAGS) $(NET_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_net_test_tls_key_LDADD = $(NET_LINK) $(CMOCKA_LIBS)
