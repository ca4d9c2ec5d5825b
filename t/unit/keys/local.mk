# t/unit/keys
UNIT_TESTS += t/unit/keys/test_tickets
t_unit_keys_test_tickets_SOURCES = t/unit/keys/test_tickets.c keys/tickets.c
t_unit_keys_test_tickets_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE) -iquote $(top_srcdir)/keys $(CMOCKA_CFLAGS)
t_unit_keys_test_tickets_LDADD = $(BASE_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/keys/test_key_store
t_unit_keys_test_key_store_SOURCES = t/unit/keys/test_key_store.c t/unit/net/certificates.c $(KEYS_FILES_SOURCES)
t_unit_keys_test_key_store_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) -iquote $(top_srcdir)/keys -iquote $(top_srcdir)/t/unit/net \
	$(CMOCKA_CFLAGS)
t_unit_keys_test_key_store_LDADD = $(TABLE_LINK) $(CMOCKA_LIBS)
