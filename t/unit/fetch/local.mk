# t/unit/fetch
UNIT_TESTS += t/unit/fetch/test_fetch
t_unit_fetch_test_fetch_SOURCES = t/unit/fetch/test_fetch.c
t_unit_fetch_test_fetch_CPPFLAGS = $(AM_CPPFLAGS) $(FETCH_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_fetch_test_fetch_LDADD = $(FETCH_LINK) $(CMOCKA_LIBS)
