noinst_LIBRARIES += lib/store/libstore.a
lib_store_libstore_a_CPPFLAGS = $(AM_CPPFLAGS) $(STORE_INCLUDE)
lib_store_libstore_a_SOURCES =
# What others see; then the floors from the ground up, in an order in which no file calls one that stands further down.
lib_store_libstore_a_SOURCES += \
	lib/store/store.h \
	lib/store/folder.h
# formats, and a folder's state in memory
lib_store_libstore_a_SOURCES += \
	lib/store/file_count.c lib/store/file_count.h \
	lib/store/uid_set.c lib/store/uid_set.h \
	lib/store/slot_set.c lib/store/slot_set.h \
	lib/store/slot_list.c lib/store/slot_list.h \
	lib/store/store_name.c lib/store/store_name.h \
	lib/store/folder_file.c lib/store/folder_file.h \
	lib/store/folder_name.c lib/store/folder_name.h \
	lib/store/folder_import.c lib/store/folder_import.h \
	lib/store/folder_state.c lib/store/folder_state.h \
	lib/store/folder_state_apply.c lib/store/folder_state_apply.h \
	lib/store/folder_state_load.c lib/store/folder_state_load.h \
	lib/store/folder_snapshot.c lib/store/folder_snapshot.h \
	lib/store/slot_table.c lib/store/slot_table.h \
	lib/store/maildir_sweep.c lib/store/maildir_sweep.h
# the root of a user's mailboxes
lib_store_libstore_a_SOURCES += \
	lib/store/store_root.c lib/store/store_root.h \
	lib/store/store_marks.c lib/store/store_marks.h \
	lib/store/store_list.c \
	lib/store/store_import.c lib/store/store_import.h \
	lib/store/cache.c lib/store/cache.h
# an open folder: the view, the lock and the journal, the directories
lib_store_libstore_a_SOURCES += \
	lib/store/folder_view.c lib/store/folder_view.h \
	lib/store/folder_known.c \
	lib/store/folder_journal.c lib/store/folder_journal.h \
	lib/store/folder_recent.c lib/store/folder_recent.h \
	lib/store/folder_dates.c lib/store/folder_dates.h \
	lib/store/newcomers.c lib/store/newcomers.h \
	lib/store/folder_scan.c lib/store/folder_scan.h
# messages, and changing them
lib_store_libstore_a_SOURCES += \
	lib/store/folder_message.c lib/store/folder_message.h \
	lib/store/folder_count.c \
	lib/store/folder_flags.c lib/store/folder_flags.h \
	lib/store/folder_expunge.c lib/store/folder_expunge.h \
	lib/store/folder_settle.c lib/store/folder_settle.h
# opening, synchronising, saving
lib_store_libstore_a_SOURCES += \
	lib/store/folder_sync.c \
	lib/store/folder_open.c lib/store/folder_open.h \
	lib/store/folder_status.c \
	lib/store/folder_target.c lib/store/folder_target.h \
	lib/store/folder_saved.c lib/store/folder_saved.h \
	lib/store/folder_save.c \
	lib/store/folder_copy.c
# the tree
lib_store_libstore_a_SOURCES += \
	lib/store/store_quota.c \
	lib/store/store_tree.c \
	lib/store/store_open.c
