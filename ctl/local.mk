# ctl
# ternmap, ternalias (also called newaliases)
sbin_PROGRAMS += ctl/ternmap ctl/ternalias
ctl_ternmap_SOURCES = ctl/ternmap.c ctl/table_tool.c ctl/table_tool.h ctl/table_tool_config.c ctl/table_tool_config.h
ctl_ternmap_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternmap_LDADD = $(TABLE_LINK)
ctl_ternalias_SOURCES = ctl/ternalias.c ctl/table_tool.c ctl/table_tool.h ctl/table_tool_config.c ctl/table_tool_config.h
ctl_ternalias_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternalias_LDADD = $(TABLE_LINK)
# tern
sbin_PROGRAMS += ctl/tern
ctl_tern_SOURCES = ctl/tern.c ctl/tern.h ctl/tern_common.c ctl/tern_start.c ctl/tern_check.c ctl/check_restrictions.c ctl/check_tables.c \
	ctl/check_disk.c ctl/check_queue.c \
	ctl/check_files.c ctl/queue_check.c ctl/queue_check.h ctl/queue_tool.c ctl/queue_tool.h ctl/tern_init.c ctl/tern_user.c \
	ctl/tern_files.c ctl/tern_accounts.c ctl/init_certificate.c ctl/init_certificate.h ctl/check_certificates.c \
	ctl/tern_auth.c ctl/password_file.c ctl/password_file.h \
	ctl/tern_tls.c ctl/certificate.c ctl/certificate.h \
	ctl/tern_submission.c ctl/tern_tlsrpt.c ctl/tern_mailbox.c ctl/tern_who.c ctl/tern_postfix.c \
	ctl/check_tls_client.c ctl/tern_tls_probe.c ctl/tls_probe_certificates.c ctl/tls_probe.h \
	$(KEYS_FILES_SOURCES)
ctl_tern_CPPFLAGS = $(AM_CPPFLAGS) $(AUTH_INCLUDE) $(JANSSON_CFLAGS) $(PATHS_CPPFLAGS) -iquote $(top_builddir)/conf \
	-iquote $(top_srcdir)/keys -iquote $(top_srcdir)/smtp
ctl_tern_LDADD = smtp/libsmtp.a $(AUTH_LINK)
# sendmail (also called mailq and newaliases by links), and the set-gid drop
sbin_PROGRAMS += ctl/sendmail
ctl_sendmail_SOURCES = ctl/sendmail.c ctl/sendmail.h ctl/letter.c ctl/sendmail_smtp.c ctl/submit.c ctl/submit.h \
	ctl/idn_late.c
ctl_sendmail_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(PATHS_CPPFLAGS) $(IDN2_CFLAGS)
# libidn2 is named for all programs; idn_late.c is why this one does without.
ctl_sendmail_LDFLAGS = $(AM_LDFLAGS) -Wl,--as-needed
ctl_sendmail_LDADD = $(CLIENT_LINK)
tern_PROGRAMS += ctl/drop
ctl_drop_SOURCES = ctl/drop.c
ctl_drop_CPPFLAGS = $(AM_CPPFLAGS) $(BASE_INCLUDE) $(PATHS_CPPFLAGS)
# ternconf; ternman writes the manual of parameters and the default main.cf from the same table, and the pages
# of IPC messages and services from theirs
sbin_PROGRAMS += ctl/ternconf
ctl_ternconf_SOURCES = ctl/ternconf.c ctl/ternconf.h ctl/ternconf_main.c ctl/ternconf_services.c ctl/ternconf_edit.c \
	ctl/ternconf_files.c ctl/ternconf_print.c ctl/ternconf_pattern.c ctl/ternconf_bounce.c ctl/ternconf_tls.c \
	ctl/ternconf_trouble.c
ctl_ternconf_CPPFLAGS = $(AM_CPPFLAGS) $(TABLE_INCLUDE) $(PATHS_CPPFLAGS) $(OPENSSL_CFLAGS)
ctl_ternconf_LDADD = $(TABLE_LINK) $(OPENSSL_LIBS)
# The queue commands (ternqueue is also called mailq) and what they share
QUEUE_TOOL_SOURCES = ctl/queue_tool.c ctl/queue_tool.h ctl/queue_source.c ctl/queue_source.h
sbin_PROGRAMS += ctl/ternqueue
ctl_ternqueue_SOURCES = ctl/ternqueue.c ctl/queue_listing.c ctl/queue_listing.h $(QUEUE_TOOL_SOURCES)
ctl_ternqueue_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(JANSSON_CFLAGS) $(PATHS_CPPFLAGS)
ctl_ternqueue_LDADD = $(SERVICE_LINK) $(JANSSON_LIBS)
noinst_PROGRAMS += ctl/ternman
ctl_ternman_SOURCES = ctl/ternman.c ctl/ternman.h ctl/ternman_service.c ctl/ternman_text.c ctl/ternman_text.h
ctl_ternman_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternman_LDADD = $(SERVICE_LINK)
sbin_PROGRAMS += ctl/ternlog
LOG_WRITER_SOURCES = ctl/log_writer.c ctl/log_writer.h
ctl_ternlog_SOURCES = ctl/ternlog.c ctl/queue_tool.c ctl/queue_tool.h $(LOG_WRITER_SOURCES)
ctl_ternlog_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternlog_LDADD = $(SERVICE_LINK)
sbin_PROGRAMS += ctl/ternsuper
ctl_ternsuper_SOURCES = ctl/ternsuper.c ctl/queue_change.c ctl/queue_change.h ctl/queue_check.c ctl/queue_check.h \
	ctl/queue_selection.c ctl/queue_selection.h $(QUEUE_TOOL_SOURCES) $(LOG_WRITER_SOURCES)
ctl_ternsuper_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternsuper_LDADD = $(SERVICE_LINK)
sbin_PROGRAMS += ctl/terncat
ctl_terncat_SOURCES = ctl/terncat.c ctl/cat_envelope.c ctl/cat_envelope.h ctl/queue_tool.c ctl/queue_tool.h
ctl_terncat_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(JANSSON_CFLAGS) $(PATHS_CPPFLAGS)
ctl_terncat_LDADD = $(SERVICE_LINK) $(JANSSON_LIBS)
sbin_PROGRAMS += ctl/ternshape
ctl_ternshape_SOURCES = ctl/ternshape.c ctl/queue_shape.c ctl/queue_shape.h ctl/queue_selection.c ctl/queue_selection.h \
	ctl/queue_change.c ctl/queue_change.h $(QUEUE_TOOL_SOURCES)
ctl_ternshape_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) $(PATHS_CPPFLAGS)
ctl_ternshape_LDADD = $(SERVICE_LINK)
# Names that local programs call: mailq is sendmail by another name, newaliases is ternalias
# (sendmail -bi becomes it). uninstall takes away what install made.
install-exec-hook:
	cd "$(DESTDIR)$(sbindir)" && rm -f mailq newaliases && $(LN_S) sendmail mailq && $(LN_S) ternalias newaliases
uninstall-hook:
	cd "$(DESTDIR)$(sbindir)" && rm -f mailq newaliases
	cd "$(DESTDIR)$(sbindir)" && for pair in $(COMPAT_LINKS); do \
	    name=$${pair%%:*}; test "$$(readlink $$name)" != $${pair#*:} || rm -f $$name; done
# The names of Postfix's commands, for fingers and scripts; not over a file that is there.
COMPAT_LINKS = postfix:tern postconf:ternconf postqueue:ternqueue postsuper:ternsuper postcat:terncat postmap:ternmap \
	postalias:ternalias postlog:ternlog qshape:ternshape
install-compat-links:
	cd "$(DESTDIR)$(sbindir)" && for pair in $(COMPAT_LINKS); do \
	    name=$${pair%%:*} target=$${pair#*:}; \
	    if test ! -e $$target; then echo "no $$target, no link $$name"; \
	    elif test -e $$name || test -h $$name; then echo "$$name is there, left alone"; \
	    else $(LN_S) $$target $$name || exit 1; fi; done
.PHONY: install-compat-links
