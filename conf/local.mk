# conf: the configuration files that are shipped
EXTRA_DIST += conf/master.cf
confdir = $(sysconfdir)/tern
CLEANFILES += conf/master_cf_text.h

# tern init writes the shipped master.cf: it carries it as a string literal.
BUILT_SOURCES += conf/master_cf_text.h
conf/master_cf_text.h: $(top_srcdir)/conf/master.cf
	@$(MKDIR_P) conf
	$(AM_V_GEN)$(SED) 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n"/' $(top_srcdir)/conf/master.cf >$@.new && mv $@.new $@
ctl/tern-tern_init.$(OBJEXT): conf/master_cf_text.h
