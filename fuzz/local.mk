# Fuzz targets: one for every parser, listed by floor or daemon.
#
# make check and make fuzz-replay run each over fuzz/seeds/NAME; make fuzz FUZZ_SECONDS=60 builds
# them with clang's libFuzzer in fuzz-build/ and runs each for that long.
EXTRA_DIST += fuzz/run fuzz/seeds

include fuzz/base.mk
include fuzz/net.mk
include fuzz/mail.mk
include fuzz/config.mk
include fuzz/table.mk
include fuzz/queue.mk
include fuzz/service.mk
include fuzz/client.mk
include fuzz/smtpd.mk

FUZZ_SECONDS = 60

.PHONY: fuzz fuzz-replay fuzz-libraries fuzz-list
fuzz-replay: $(FUZZ_TARGETS)
	@failed=; for target in $(FUZZ_TARGETS); do \
	    printf '%s: ' "$$target"; srcdir='$(srcdir)' ./$$target || failed="$$failed $$target"; \
	done; [ -z "$$failed" ] || { echo "fuzz-replay: FAILED:$$failed" >&2; exit 1; }

# FUZZ_ONLY="fuzz_str ..." runs only those.
fuzz:
	CLANG='$(CLANG)' MAKE='$(MAKE)' FUZZ_ONLY='$(FUZZ_ONLY)' $(SHELL) $(srcdir)/fuzz/run '$(srcdir)' '$(FUZZ_SECONDS)'

# For fuzz/run, in its own build directory.
fuzz-libraries: $(BUILT_SOURCES) $(noinst_LIBRARIES)
fuzz-list:
	@echo $(FUZZ_TARGETS)

clean-local: clean-fuzz
.PHONY: clean-fuzz
clean-fuzz:
	-rm -rf fuzz-build
