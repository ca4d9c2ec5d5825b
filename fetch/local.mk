# fetch: all but the main file is a library, so that unit tests have it without the daemon.
noinst_LIBRARIES += fetch/libfetch.a
fetch_libfetch_a_SOURCES = fetch/fetch.h fetch/address.c fetch/http.c fetch/store.c fetch/domains.c
fetch_libfetch_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(CURL_CFLAGS)
FETCH_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/fetch
FETCH_LINK = fetch/libfetch.a $(CLIENT_LINK) $(CURL_LIBS)

tern_PROGRAMS += fetch/fetch
fetch_fetch_SOURCES = fetch/fetch.c
fetch_fetch_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
fetch_fetch_LDADD = $(FETCH_LINK) $(FAULT_LINK)
dist_man_MANS += man/tern-fetch.8
