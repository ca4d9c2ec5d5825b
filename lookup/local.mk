# lookup
LOOKUP_SOURCES = lookup/lookup.h lookup/context.c lookup/subject.c lookup/subject.h lookup/resolve.c lookup/route.c \
	lookup/expand.c lookup/local.c lookup/mailbox.c lookup/match.c lookup/names.c lookup/tables.c lookup/tables.h \
	lookup/source_owner.c lookup/source_owner.h lookup/accounts.c lookup/accounts.h

tern_PROGRAMS += lookup/lookup
lookup_lookup_SOURCES = lookup/lookup.c lookup/refresh.c $(LOOKUP_SOURCES)
lookup_lookup_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
lookup_lookup_LDADD = $(CLIENT_LINK)
dist_man_MANS += man/tern-lookup.8
