IMAP_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/imapd
IMAP_LINK = imapd/libimap.a $(CLIENT_LINK) $(ZLIB_LIBS)
# The session alone, for tests of its commands.
noinst_PROGRAMS += t/e2e/imap_stand
t_e2e_imap_stand_SOURCES = t/e2e/imap_stand.c
t_e2e_imap_stand_CPPFLAGS = $(AM_CPPFLAGS) $(IMAP_INCLUDE)
t_e2e_imap_stand_LDADD = $(IMAP_LINK)
UNIT_TESTS += t/unit/imapd/test_grammar
t_unit_imapd_test_grammar_SOURCES = t/unit/imapd/test_grammar.c
t_unit_imapd_test_grammar_CPPFLAGS = $(AM_CPPFLAGS) $(IMAP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_imapd_test_grammar_LDADD = $(IMAP_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/imapd/test_message_file
t_unit_imapd_test_message_file_SOURCES = t/unit/imapd/test_message_file.c
t_unit_imapd_test_message_file_CPPFLAGS = $(AM_CPPFLAGS) $(IMAP_INCLUDE) $(CMOCKA_CFLAGS)
t_unit_imapd_test_message_file_LDADD = $(IMAP_LINK) $(CMOCKA_LIBS)
