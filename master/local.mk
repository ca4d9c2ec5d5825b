# master: the supervisor
tern_PROGRAMS += master/master
master_master_SOURCES = master/master.c master/master.h master/plan.c master/plan.h master/plan_child.c master/plan_child.h master/plan_start.c \
	master/unix_paths.c master/unix_paths.h master/interfaces.c master/interfaces.h master/listeners.c master/log_pipes.c master/children.c master/reap.c master/services.c \
	master/control.c master/control_send.c master/start.c master/reload.c master/stop.c master/operator.c master/operator_session.c master/operator_session.h master/pid_file.c master/notify.c \
	master/report.c
master_master_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) -iquote $(top_srcdir)/master
master_master_LDADD = $(SERVICE_LINK) $(FAULT_LINK)
