# the session of a logged-in user, as a library: mailbox links it
noinst_LIBRARIES += pop3d/libpop3.a
pop3d_libpop3_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d
pop3d_libpop3_a_SOURCES = pop3d/pop3.h pop3d/pop3_commands.def pop3d/pop3_line.h pop3d/pop3_line.c pop3d/uidl.c pop3d/saved_uidl.c pop3d/saved_uidl.h pop3d/lock.c pop3d/session.c \
	pop3d/cmd_list.c pop3d/cmd_message.c pop3d/cmd_delete.c

tern_PROGRAMS += pop3d/pop3d
pop3d_pop3d_SOURCES = pop3d/front.c
pop3d_pop3d_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d
pop3d_pop3d_LDADD = pop3d/libpop3.a $(CLIENT_LINK) $(FAULT_LINK)
