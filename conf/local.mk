# conf: the configuration files that are shipped
EXTRA_DIST += conf/main.cf conf/master.cf conf/aliases conf/tern.sysusers conf/tern.service.in
CLEANFILES += conf/master_cf_text.h conf/tern.service

# tern init writes the shipped master.cf: it carries it as a string literal.
BUILT_SOURCES += conf/master_cf_text.h
conf/master_cf_text.h: $(top_srcdir)/conf/master.cf
	@$(MKDIR_P) conf
	$(AM_V_GEN)$(SED) 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $(top_srcdir)/conf/master.cf >$@.new && mv $@.new $@
ctl/tern-tern_init.$(OBJEXT): conf/master_cf_text.h

# The administrator's files are installed only where there are none, and are removed only as they came.
CONF_FILES = main.cf master.cf aliases
confdir = $(sysconfdir)/tern
install-data-local: install-conf
install-conf:
	@$(MKDIR_P) '$(DESTDIR)$(confdir)'
	@for file in $(CONF_FILES); do \
	    if test -e '$(DESTDIR)$(confdir)'/$$file; then echo " $(confdir)/$$file is left as it is"; \
	    else echo " $(INSTALL_DATA) $(srcdir)/conf/$$file '$(DESTDIR)$(confdir)'"; \
	        $(INSTALL_DATA) $(srcdir)/conf/$$file '$(DESTDIR)$(confdir)'/$$file || exit 1; fi; \
	done
uninstall-local: uninstall-conf uninstall-sysusers
uninstall-conf:
	-@for file in $(CONF_FILES); do \
	    if cmp -s $(srcdir)/conf/$$file '$(DESTDIR)$(confdir)'/$$file; then rm -f '$(DESTDIR)$(confdir)'/$$file; fi; \
	done

# The accounts and the unit for systemd.
sysusersdir = $(prefix)/lib/sysusers.d
unitdir = $(prefix)/lib/systemd/system
nodist_unit_DATA = conf/tern.service
conf/tern.service: $(top_srcdir)/conf/tern.service.in Makefile
	@$(MKDIR_P) conf
	$(AM_V_GEN)$(SED) 's,[@]sbindir[@],$(sbindir),g' $(top_srcdir)/conf/tern.service.in >$@.new && mv $@.new $@
install-data-local: install-sysusers
install-sysusers:
	@$(MKDIR_P) '$(DESTDIR)$(sysusersdir)'
	$(INSTALL_DATA) $(srcdir)/conf/tern.sysusers '$(DESTDIR)$(sysusersdir)/tern.conf'
uninstall-sysusers:
	rm -f '$(DESTDIR)$(sysusersdir)/tern.conf'

# After make install, as root, for the mail system of a whole machine: the accounts, and the group that
# lets drop write into the drop folder while the server is down.
.PHONY: install-privileges install-conf uninstall-conf install-sysusers uninstall-sysusers
install-privileges:
	systemd-sysusers '$(DESTDIR)$(sysusersdir)/tern.conf'
	chgrp tern-drop '$(DESTDIR)$(terndir)/drop'
	chmod 2755 '$(DESTDIR)$(terndir)/drop'
	'$(DESTDIR)$(sbindir)/newaliases'
