noinst_LIBRARIES += lib/queue/libqueue.a
lib_queue_libqueue_a_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE)
lib_queue_libqueue_a_SOURCES = lib/queue/queue_file.c lib/queue/queue_file.h lib/queue/record.c lib/queue/record.h \
	lib/queue/queue_id.c lib/queue/queue_id.h lib/queue/schedule.c lib/queue/schedule.h \
	lib/queue/directory_sync.c lib/queue/directory_sync.h lib/queue/queue_folder.c lib/queue/queue_folder.h \
	lib/queue/login_usage.c lib/queue/login_usage.h
