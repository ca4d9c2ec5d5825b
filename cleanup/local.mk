tern_PROGRAMS += cleanup/cleanup
cleanup_cleanup_SOURCES = cleanup/cleanup.c cleanup/cleanup.h cleanup/open.c cleanup/expand.c cleanup/commit.c \
	cleanup/ids.c cleanup/store.c cleanup/direct.c
cleanup_cleanup_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
cleanup_cleanup_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
