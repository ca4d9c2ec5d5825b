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
