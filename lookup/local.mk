# lookup: what decides is a library, so that unit tests have it without the daemon.
noinst_LIBRARIES += lookup/liblookup.a
lookup_liblookup_a_SOURCES = lookup/lookup.h lookup/context.c lookup/classify.c lookup/subject.c lookup/subject.h lookup/resolve.c \
	lookup/route.c lookup/expand.c lookup/many.c lookup/local.c lookup/mailbox.c lookup/mail_account.c lookup/match.c lookup/credentials.c lookup/names.c lookup/tables.c \
	lookup/tables.h lookup/source_owner.c lookup/source_owner.h lookup/accounts.c lookup/accounts.h
lookup_liblookup_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
LOOKUP_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/lookup
LOOKUP_LINK = lookup/liblookup.a $(CLIENT_LINK)

tern_PROGRAMS += lookup/lookup
lookup_lookup_SOURCES = lookup/lookup.c lookup/refresh.c
lookup_lookup_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
lookup_lookup_LDADD = $(LOOKUP_LINK) $(FAULT_LINK)
dist_man_MANS += man/tern-lookup.8
