noinst_LIBRARIES += smtp/libsmtp.a
smtp_libsmtp_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
smtp_libsmtp_a_SOURCES = smtp/smtp.h smtp/deliver.c smtp/deliver.h smtp/next_hop.c smtp/next_hop.h smtp/hosts.c smtp/hosts.h smtp/hosts_file.c smtp/hosts_file.h \
	smtp/route.c smtp/route.h smtp/session.c smtp/session.h smtp/transaction.c smtp/transaction.h \
	smtp/content.c smtp/content.h smtp/connection_cache.c smtp/connection_cache.h \
	smtp/login.c smtp/login.h smtp/access_token.c smtp/access_token.h smtp/token_grant.c \
	smtp/reply_policy.c smtp/reply_policy.h smtp/trouble.c smtp/trouble.h smtp/settings.c

tern_PROGRAMS += smtp/smtp
smtp_smtp_SOURCES = smtp/smtp.c
smtp_smtp_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
smtp_smtp_LDADD = smtp/libsmtp.a $(CLIENT_LINK) $(FAULT_LINK)
