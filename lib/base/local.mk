noinst_LIBRARIES += lib/base/libbase.a
lib_base_libbase_a_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE)
lib_base_libbase_a_SOURCES =
lib_base_libbase_a_SOURCES += lib/base/compiler.h
lib_base_libbase_a_SOURCES += lib/base/str.c lib/base/str.h
lib_base_libbase_a_SOURCES += lib/base/memory.c lib/base/memory.h
lib_base_libbase_a_SOURCES += lib/base/buf.c lib/base/buf.h
lib_base_libbase_a_SOURCES += lib/base/failure.c lib/base/failure.h
lib_base_libbase_a_SOURCES += lib/base/clock.c lib/base/clock.h
lib_base_libbase_a_SOURCES += lib/base/hash.c lib/base/hash.h
lib_base_libbase_a_SOURCES += lib/base/map.c
# Loop and tasks
lib_base_libbase_a_SOURCES += lib/base/task.c lib/base/task.h lib/base/loop.c lib/base/loop_state.c lib/base/loop_internal.h
lib_base_libbase_a_SOURCES += lib/base/context.c lib/base/context.h lib/base/stack.c lib/base/stack.h
lib_base_libbase_a_SOURCES += lib/base/timeout_heap.c lib/base/timeout_heap.h
lib_base_libbase_a_SOURCES += lib/base/descriptor.c lib/base/blocking.c
lib_base_libbase_a_SOURCES += lib/base/log.c lib/base/log.h
lib_base_libbase_a_SOURCES += lib/base/log_line.c lib/base/log_line.h
