tern_PROGRAMS += mailbox/mailbox
mailbox_mailbox_SOURCES = mailbox/mailbox.c mailbox/mailbox.h mailbox/session.c mailbox/session_store.c mailbox/account.c mailbox/idle.c mailbox/idle_file.c mailbox/crowd.c mailbox/at_work.c mailbox/handover.c mailbox/process.c mailbox/imap_process.c mailbox/pop3_process.c
mailbox_mailbox_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/imapd -iquote $(top_srcdir)/pop3d -iquote $(top_srcdir)/mailbox
mailbox_mailbox_LDADD = imapd/libimap.a pop3d/libpop3.a $(CLIENT_LINK) $(ZLIB_LIBS) $(FAULT_LINK)
