# man
# ternmap, ternalias, table types
dist_man_MANS += man/ternmap.1 man/tern-tables.5
# tern, master, log
dist_man_MANS += man/tern.8 man/tern-master.8 man/tern-log.8 man/tern-tls-probe.1 man/tern-dovecot.7 \
	man/tern-operation.7
# ternconf; the manual of parameters and the default file come from the table
dist_man_MANS += man/ternconf.1 man/tern-master.cf.5
# the queue
dist_man_MANS += man/tern-queue.5
nodist_man_MANS += man/tern-main.cf.5
CLEANFILES += man/tern-main.cf.5 conf/main.cf.default
man/tern-main.cf.5: ctl/ternman$(EXEEXT)
	@$(MKDIR_P) man
	$(AM_V_GEN)ctl/ternman$(EXEEXT) manual >$@.tmp && mv $@.tmp $@
# the pages of IPC messages and of services come from their tables, too
nodist_man_MANS += man/tern-ipc.7 man/tern-services.7
CLEANFILES += man/tern-ipc.7 man/tern-services.7
man/tern-ipc.7: ctl/ternman$(EXEEXT)
	@$(MKDIR_P) man
	$(AM_V_GEN)ctl/ternman$(EXEEXT) messages >$@.tmp && mv $@.tmp $@
man/tern-services.7: ctl/ternman$(EXEEXT)
	@$(MKDIR_P) man
	$(AM_V_GEN)ctl/ternman$(EXEEXT) services >$@.tmp && mv $@.tmp $@
nodist_pkgdata_DATA = conf/main.cf.default
conf/main.cf.default: ctl/ternman$(EXEEXT)
	@$(MKDIR_P) conf
	$(AM_V_GEN)ctl/ternman$(EXEEXT) defaults >$@.tmp && mv $@.tmp $@
# the queue commands and sendmail
dist_man_MANS += man/sendmail.1 man/ternqueue.1 man/ternsuper.1 man/terncat.1 man/ternlog.1 man/ternshape.1
# cleanup, qmgr, bounce, pickup
dist_man_MANS += man/tern-cleanup.8 man/tern-qmgr.8 man/tern-bounce.8 man/tern-pickup.8 man/tern-keys.8
# sources of accounts; PAM
dist_man_MANS += man/tern-auth-sources.5 man/tern-pam.8
# IMAP, POP3
dist_man_MANS += man/tern-pop3d.8 man/tern-imapd.8 man/tern-mailbox.8 man/tern-folder.5
# smtp
dist_man_MANS += man/tern-smtp.8
# Commands that are described on another's page
install-data-hook: install-man-links
install-man-links:
	cd '$(DESTDIR)$(man1dir)' && rm -f mailq.1 newaliases.1 ternalias.1 && $(LN_S) sendmail.1 mailq.1 && \
	    $(LN_S) ternmap.1 newaliases.1 && $(LN_S) ternmap.1 ternalias.1
uninstall-local: uninstall-man-links
uninstall-man-links:
	cd '$(DESTDIR)$(man1dir)' && rm -f mailq.1 newaliases.1 ternalias.1
.PHONY: install-man-links uninstall-man-links
