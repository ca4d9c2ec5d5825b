# Fuzz targets of lib/service.
FUZZ_TARGETS += fuzz/fuzz_ipc
fuzz_fuzz_ipc_SOURCES = fuzz/fuzz_ipc.c fuzz/replay_main.c
fuzz_fuzz_ipc_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE)
fuzz_fuzz_ipc_LDADD = $(SERVICE_LINK)
# ... and of the daemons bounce and log.
FUZZ_TARGETS += fuzz/fuzz_bounce_template
fuzz_fuzz_bounce_template_SOURCES = fuzz/fuzz_bounce_template.c fuzz/replay_main.c
fuzz_fuzz_bounce_template_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE)
fuzz_fuzz_bounce_template_LDADD = $(MAIL_LINK)
FUZZ_TARGETS += fuzz/fuzz_log_record
fuzz_fuzz_log_record_SOURCES = fuzz/fuzz_log_record.c fuzz/replay_main.c
fuzz_fuzz_log_record_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE)
fuzz_fuzz_log_record_LDADD = $(BASE_LINK)
