noinst_PROGRAMS += t/e2e/smtp_probe
t_e2e_smtp_probe_SOURCES = t/e2e/smtp_probe.c
t_e2e_smtp_probe_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) -iquote $(top_srcdir)/smtp
t_e2e_smtp_probe_LDADD = smtp/libsmtp.a $(CLIENT_LINK)
