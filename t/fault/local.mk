# The n-th system call made to fail (fault.h): linked into the daemons of a build that is
# configured with --enable-fault-injection, and into nothing else.
EXTRA_DIST += t/fault/calls.def

if FAULT_INJECTION
noinst_LIBRARIES += t/fault/libfault.a
t_fault_libfault_a_SOURCES = t/fault/fault.c t/fault/fault.h
t_fault_libfault_a_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) -iquote $(srcdir)/t/fault

# The linker reads its --wrap options from this file.
t/fault/wrapped.arguments: t/fault/calls.def
	@$(MKDIR_P) t/fault
	$(AM_V_GEN)$(SED) -n -e 's/^CALL_BY_HAND(\([a-z0-9_]*\),.*/--wrap=\1/p' \
		-e 's/^CALL([^,]*, \([a-z0-9_]*\),.*/--wrap=\1/p' $(srcdir)/t/fault/calls.def >$@.new && mv $@.new $@
CLEANFILES += t/fault/wrapped.arguments
BUILT_SOURCES += t/fault/wrapped.arguments
endif

# The full form of t/e2e/test_nth_call.py: each daemon's first, second, third ... call, until none is left, at
# work and at its start. About a quarter of an hour. NTH_PROCESSES="qmgr local" takes these alone.
NTH_PROCESSES =
if FAULT_INJECTION
nth-call: all
	TERN_BUILD=$(abs_builddir) PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON3) $(srcdir)/t/e2e/test_nth_call.py --full $(NTH_PROCESSES)
else
nth-call:
	@echo "make nth-call: configure with --enable-fault-injection first" >&2; exit 2
endif
.PHONY: nth-call
