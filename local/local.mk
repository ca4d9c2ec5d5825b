tern_PROGRAMS += local/local
# What a worker does, apart, for the unit tests.
LOCAL_WORKER_SOURCES = local/worker.c local/worker.h local/beneath.c local/content.c local/maildir.c local/mbox.c local/forward.c \
	local/template.c local/command.c
local_local_SOURCES = local/local.c local/local.h local/recipient.c local/resend.c local/forker.c local/commands.c \
	local/worker_run.c local/worker_lock.c $(LOCAL_WORKER_SOURCES)
local_local_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
local_local_LDADD = $(CLIENT_LINK)
