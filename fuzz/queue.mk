# Fuzz targets of lib/queue
FUZZ_TARGETS += fuzz/fuzz_queue_file
fuzz_fuzz_queue_file_SOURCES = fuzz/fuzz_queue_file.c fuzz/replay_main.c
fuzz_fuzz_queue_file_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE)
fuzz_fuzz_queue_file_LDADD = lib/queue/libqueue.a $(BASE_LINK) $(LMDB_LIBS)
