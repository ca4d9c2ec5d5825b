# What a worker does, as a library: for the daemon and the unit tests.
noinst_LIBRARIES += local/libworker.a
local_libworker_a_SOURCES = local/worker.c local/worked.c local/worker.h local/beneath.c local/content.c local/maildir.c local/account.c local/account_seen.c local/account_quota.c local/mbox.c \
	local/forward.c local/template.c local/command.c local/worker_run.c local/worker_lock.c \
	local/folder_sync.c local/folder_sync.h
local_libworker_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
tern_PROGRAMS += local/local
local_local_SOURCES = local/local.c local/local.h local/recipient.c local/walk.c local/walk.h local/resend.c local/forker.c local/commands.c
local_local_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
local_local_LDADD = local/libworker.a $(CLIENT_LINK) $(FAULT_LINK)
dist_man_MANS += man/tern-local.8
