tern_PROGRAMS += qmgr/qmgr
qmgr_qmgr_SOURCES = qmgr/qmgr.c qmgr/qmgr.h qmgr/incoming.c qmgr/take_up.c qmgr/activate.c qmgr/message.c qmgr/direct.c qmgr/destination.c qmgr/deliver.c \
	qmgr/finish.c qmgr/deferred.c qmgr/list.c qmgr/change.c qmgr/change_at_rest.c qmgr/logins.c qmgr/logins_control.c qmgr/logins.h qmgr/logins_notice.c qmgr/requeue.c qmgr/remove.c qmgr/move.c
qmgr_qmgr_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
qmgr_qmgr_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
