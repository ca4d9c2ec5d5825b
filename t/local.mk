# What make check builds and runs: the unit tables (they want cmocka), and every fuzz target over
# its seeds. The folders below t/unit and fuzz/*.mk fill the two lists.
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif

# The scripts around it; end-to-end tests are found by name, as t/run_e2e finds them. The script check
# cannot stand in EXTRA_DIST: to make that is to run the tests.
EXTRA_DIST += t/lint t/run_e2e t/adapters t/e2e/dialogues
dist-hook:
	cp -fp $(srcdir)/check $(distdir)/check
	$(MKDIR_P) $(distdir)/t/e2e
	cp -fp $(srcdir)/t/e2e/*.py $(srcdir)/t/e2e/*.js $(distdir)/t/e2e/

include t/e2e/local.mk
