# Fuzz targets of pop3d.
FUZZ_TARGETS += fuzz/fuzz_pop3_line
fuzz_fuzz_pop3_line_SOURCES = fuzz/fuzz_pop3_line.c fuzz/replay_main.c
fuzz_fuzz_pop3_line_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d
fuzz_fuzz_pop3_line_LDADD = pop3d/libpop3.a $(CLIENT_LINK)
FUZZ_TARGETS += fuzz/fuzz_saved_uidl
fuzz_fuzz_saved_uidl_SOURCES = fuzz/fuzz_saved_uidl.c fuzz/replay_main.c
fuzz_fuzz_saved_uidl_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/pop3d
fuzz_fuzz_saved_uidl_LDADD = pop3d/libpop3.a $(CLIENT_LINK)
