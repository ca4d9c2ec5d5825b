tern_PROGRAMS += smtpd/smtpd
smtpd_smtpd_SOURCES = smtpd/smtpd.c smtpd/smtpd.h smtpd/commands.c smtpd/extensions.c smtpd/session.c smtpd/session_state.c \
	smtpd/client.c smtpd/dialogue.c smtpd/transaction.c smtpd/session_tls.c smtpd/reply.c smtpd/limits.c \
	smtpd/cmd_helo.c smtpd/cmd_mail.c smtpd/cmd_rcpt.c smtpd/cmd_data.c smtpd/cmd_bdat.c smtpd/cmd_misc.c \
	smtpd/cmd_starttls.c smtpd/cmd_xclient.c smtpd/cmd_xforward.c smtpd/cmd_auth.c smtpd/sasl.c \
	smtpd/content.c smtpd/content_state.h smtpd/content_state.c smtpd/content_scan.c smtpd/content_scan.h smtpd/content_header.c smtpd/content_header.h \
	smtpd/policy.c smtpd/policy.h smtpd/policy_words.c smtpd/restrictions.c \
	smtpd/sender_login.c smtpd/login_limits.c smtpd/access.c smtpd/access_action.c smtpd/access_action.h smtpd/host_list.c smtpd/host_list.h
smtpd_smtpd_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
smtpd_smtpd_LDADD = $(CLIENT_LINK) $(FAULT_LINK)
dist_man_MANS += man/tern-smtpd.8
