# log: the log daemon
tern_PROGRAMS += log/log
log_log_SOURCES = log/log.c log/output.c log/output.h
log_log_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) -iquote $(top_srcdir)/log
log_log_LDADD = $(SERVICE_LINK) $(FAULT_LINK)
