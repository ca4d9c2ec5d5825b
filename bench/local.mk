# bench: what the SMTP benchmark's harness needs to drive tern
EXTRA_DIST += bench/RESULTS.md
EXTRA_DIST += bench/adapters

# make bench BENCH=DIR and make torture TORTURE=DIR run the two harnesses (DIR: the folder of each) on tern as built,
# installed in a prefix of its own. Both want root. The benchmark compares with BENCH_PEER, and trusts ratios only.
HARNESS = $(abs_builddir)/harness
HARNESS_PREFIX = $(HARNESS)/installed
BENCH_PEER = postfix
BENCH_ROUNDS = 3
BENCH_POINTS = inbound-maildir:c=10,s=4K inbound-newconn:c=10,s=4K relay:c=10,s=4K accept-only:c=10,s=4K sendmail startup
TORTURE_INST = 0
TORTURE_RUNS = ledger 'chaos --rounds 40' diskfull privsep 'powerloss --rounds 3' badinput

harness-install: all
	$(MAKE) -s install prefix=$(HARNESS_PREFIX) sysconfdir=$(HARNESS_PREFIX)/etc localstatedir=$(HARNESS_PREFIX)/var >/dev/null

bench: harness-install
	@test -x "$(BENCH)/compare" || { echo "usage: make bench BENCH=folder of the harness" >&2; exit 2; }
	rm -rf $(HARNESS)/bench && cp -r "$(BENCH)" $(HARNESS)/bench && chmod -R u+w $(HARNESS)/bench
	cd $(HARNESS)/bench && ADAPTERS=$(abs_top_srcdir)/bench/adapters/smtp TERN_PREFIX=$(HARNESS_PREFIX) \
		./compare -k $(BENCH_ROUNDS) tern $(BENCH_PEER) $(BENCH_POINTS)

torture: harness-install
	@test -x "$(TORTURE)/ledger" || { echo "usage: make torture TORTURE=folder of the harness" >&2; exit 2; }
	@failed=; for run in $(TORTURE_RUNS); do \
		set -- $$run; tool=$$1; shift; echo "== $$run"; \
		ADAPTERS=$(abs_top_srcdir)/t/adapters/torture TERN_PREFIX=$(HARNESS_PREFIX) PYTHONDONTWRITEBYTECODE=1 \
			"$(TORTURE)/$$tool" --adapter tern --inst $(TORTURE_INST) "$$@" || failed="$$failed $$tool"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean-local: clean-harness
clean-harness:
	rm -rf $(HARNESS)

.PHONY: clean-harness bench torture harness-install
