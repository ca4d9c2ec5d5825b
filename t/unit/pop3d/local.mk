# Unit tables of pop3d.
UNIT_TESTS += t/unit/pop3d/test_pop3_line
t_unit_pop3d_test_pop3_line_SOURCES = t/unit/pop3d/test_pop3_line.c
t_unit_pop3d_test_pop3_line_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d $(CMOCKA_CFLAGS)
t_unit_pop3d_test_pop3_line_LDADD = pop3d/libpop3.a $(CLIENT_LINK) $(CMOCKA_LIBS)
UNIT_TESTS += t/unit/pop3d/test_saved_uidl
t_unit_pop3d_test_saved_uidl_SOURCES = t/unit/pop3d/test_saved_uidl.c
t_unit_pop3d_test_saved_uidl_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d $(CMOCKA_CFLAGS)
t_unit_pop3d_test_saved_uidl_LDADD = pop3d/libpop3.a $(CLIENT_LINK) $(CMOCKA_LIBS)
