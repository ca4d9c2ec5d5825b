# What make check builds and runs: the unit tables (they want cmocka), and every fuzz target over
# its seeds. The folders below t/unit and fuzz/*.mk fill the two lists.
check_PROGRAMS += $(FUZZ_TARGETS)
TESTS += $(FUZZ_TARGETS)
if HAVE_CMOCKA
check_PROGRAMS += $(UNIT_TESTS)
TESTS += $(UNIT_TESTS)
endif

include t/e2e/local.mk
