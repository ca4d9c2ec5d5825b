# t/unit/lookup
UNIT_TESTS += t/unit/lookup/test_resolve t/unit/lookup/test_expand t/unit/lookup/test_local
t_unit_lookup_test_resolve_SOURCES = t/unit/lookup/test_resolve.c t/unit/lookup/fixture.c t/unit/lookup/fixture.h
t_unit_lookup_test_resolve_CPPFLAGS = $(AM_CPPFLAGS) $(LOOKUP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_lookup_test_resolve_LDADD = $(LOOKUP_LINK) $(CMOCKA_LIBS)
t_unit_lookup_test_expand_SOURCES = t/unit/lookup/test_expand.c t/unit/lookup/fixture.c t/unit/lookup/fixture.h
t_unit_lookup_test_expand_CPPFLAGS = $(AM_CPPFLAGS) $(LOOKUP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_lookup_test_expand_LDADD = $(LOOKUP_LINK) $(CMOCKA_LIBS)
t_unit_lookup_test_local_SOURCES = t/unit/lookup/test_local.c t/unit/lookup/fixture.c t/unit/lookup/fixture.h
t_unit_lookup_test_local_CPPFLAGS = $(AM_CPPFLAGS) $(LOOKUP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_lookup_test_local_LDADD = $(LOOKUP_LINK) $(CMOCKA_LIBS)
