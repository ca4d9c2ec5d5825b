noinst_LIBRARIES += lib/store/libstore.a
lib_store_libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(STORE_INCLUDE)
lib_store_libstore_a_SOURCES =
# one folder
lib_store_libstore_a_SOURCES += \
	lib/store/uid_set.c lib/store/uid_set.h \
	lib/store/slot_set.c lib/store/slot_set.h \
	lib/store/slot_list.c lib/store/slot_list.h \
	lib/store/folder.c lib/store/folder.h lib/store/folder_internal.h \
	lib/store/folder_file.c lib/store/folder_file.h \
	lib/store/folder_name.c lib/store/folder_name.h \
	lib/store/folder_state.c lib/store/folder_state.h \
	lib/store/folder_snapshot.c lib/store/folder_snapshot.h \
	lib/store/folder_lock.c \
	lib/store/folder_scan.c \
	lib/store/folder_message.c \
	lib/store/folder_change.c \
	lib/store/folder_save.c \
	lib/store/folder_settle.c \
	lib/store/folder_import.c lib/store/folder_import.h
# all of a user's
lib_store_libstore_a_SOURCES += \
	lib/store/store.h lib/store/store_internal.h \
	lib/store/store_root.c lib/store/store_root.h \
	lib/store/store_marks.c lib/store/store_marks.h \
	lib/store/store_list.c \
	lib/store/store_open.c \
	lib/store/store_name.c lib/store/store_name.h \
	lib/store/store_tree.c \
	lib/store/store_import.c lib/store/store_import.h \
	lib/store/store_quota.c \
	lib/store/cache.c
