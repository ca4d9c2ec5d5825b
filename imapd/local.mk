# the session of a logged-in user, as a library: mailbox links it, and tests
noinst_LIBRARIES += imapd/libimap.a
imapd_libimap_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/imapd
imapd_libimap_a_SOURCES = imapd/imap.h imapd/commands.c imapd/commands.h imapd/session.c imapd/dialogue.c imapd/outcome.c imapd/settle.c imapd/tell.c \
	imapd/grammar.h imapd/grammar_words.c imapd/grammar_fetch.c imapd/grammar_search.c imapd/grammar_mailbox.c \
	imapd/cmd_misc.c imapd/cmd_select.c imapd/cmd_mailbox.c imapd/cmd_list.c imapd/cmd_append.c imapd/cmd_store.c \
	imapd/cmd_copy.c imapd/imap_idle.c imapd/imap_idle.h imapd/cmd_quota.c imapd/cmd_compress.c imapd/compress.c imapd/compress.h \
	imapd/cmd_fetch.c imapd/fetch_item.c imapd/fetch_item.h imapd/fetch_message.c imapd/fetch_message.h imapd/kept_fields.c imapd/kept_fields.h imapd/ahead.c imapd/ahead.h imapd/message_file.c imapd/message_file.h \
	imapd/search.c imapd/search.h imapd/cmd_search.c imapd/cmd_sort.c imapd/cmd_thread.c \
	imapd/answers.c imapd/answers.h imapd/rows.c imapd/rows.h imapd/sort_texts.c imapd/sort_texts.h

tern_PROGRAMS += imapd/imapd
imapd_imapd_SOURCES = imapd/front.c
imapd_imapd_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/imapd
imapd_imapd_LDADD = imapd/libimap.a $(CLIENT_LINK) $(ZLIB_LIBS) $(FAULT_LINK)
