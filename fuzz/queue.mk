# Fuzz targets of lib/queue
FUZZ_TARGETS += fuzz/fuzz_queue_file
fuzz_fuzz_queue_file_SOURCES = fuzz/fuzz_queue_file.c fuzz/replay_main.c
fuzz_fuzz_queue_file_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE)
fuzz_fuzz_queue_file_LDADD = lib/queue/libqueue.a $(BASE_LINK) $(LMDB_LIBS)
FUZZ_TARGETS += fuzz/fuzz_login_usage
fuzz_fuzz_login_usage_SOURCES = fuzz/fuzz_login_usage.c fuzz/replay_main.c
fuzz_fuzz_login_usage_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE)
fuzz_fuzz_login_usage_LDADD = $(QUEUE_LINK)
