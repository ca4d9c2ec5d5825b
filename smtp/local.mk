noinst_LIBRARIES += smtp/libsmtp.a
smtp_libsmtp_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
smtp_libsmtp_a_SOURCES = smtp/smtp.h smtp/deliver.c smtp/deliver.h smtp/recipient_outcome.c smtp/recipient_outcome.h smtp/next_hop.c smtp/next_hop.h smtp/hosts.c smtp/hosts.h smtp/hosts_file.c smtp/hosts_file.h \
	smtp/route.c smtp/route.h smtp/session.c smtp/session.h smtp/transaction.c smtp/transaction.h \
	smtp/content.c smtp/content.h smtp/connection_cache.c smtp/connection_cache.h \
	smtp/login.c smtp/login.h smtp/access_token.c smtp/access_token.h smtp/token_grant.c \
	smtp/reply_policy.c smtp/reply_policy.h smtp/trouble.c smtp/trouble.h smtp/settings.c \
	smtp/tls_policy.c smtp/tls_policy.h smtp/tls_settings.c smtp/tls_settings.h smtp/tls_question.c smtp/tls_question.h smtp/tls_plan.c smtp/tls_plan.h smtp/tls_plan_key.c \
	smtp/tls_dane.c smtp/tls_dane.h smtp/tls_dane_read.c smtp/tls_sts.c smtp/tls_sts.h smtp/tls_result.c smtp/tls_result.h \
	smtp/tls_client.c smtp/tls_client.h smtp/tls_roots.c smtp/tls_sessions.c smtp/tls_sessions.h

tern_PROGRAMS += smtp/smtp
smtp_smtp_SOURCES = smtp/smtp.c
smtp_smtp_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
smtp_smtp_LDADD = smtp/libsmtp.a $(CLIENT_LINK) $(FAULT_LINK)
