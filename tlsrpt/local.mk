# tlsrpt
tern_PROGRAMS += tlsrpt/tlsrpt
tlsrpt_tlsrpt_SOURCES = tlsrpt/tlsrpt.c tlsrpt/tlsrpt.h tlsrpt/gather.c tlsrpt/journal.c tlsrpt/send.c tlsrpt/letter.c
tlsrpt_tlsrpt_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(ZLIB_CFLAGS)
tlsrpt_tlsrpt_LDADD = $(CLIENT_LINK) $(ZLIB_LIBS) $(FAULT_LINK)
dist_man_MANS += man/tern-tlsrpt.8
