noinst_LIBRARIES += lib/queue/libqueue.a
lib_queue_libqueue_a_CPPFLAGS = $(AM_CPPFLAGS) $(QUEUE_INCLUDE)
lib_queue_libqueue_a_SOURCES =
