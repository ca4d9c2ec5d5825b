# bench: what the SMTP benchmark's harness needs to drive tern
EXTRA_DIST += bench/RESULTS.md bench/RESULTS-imap.md bench/scale
EXTRA_DIST += bench/adapters bench/plots

# Fills a queue for bench/scale.
noinst_PROGRAMS += bench/fill_queue
bench_fill_queue_SOURCES = bench/fill_queue.c ctl/queue_tool.c ctl/queue_tool.h
bench_fill_queue_CPPFLAGS = $(AM_CPPFLAGS) $(SERVICE_INCLUDE) -iquote $(top_srcdir)/ctl $(PATHS_CPPFLAGS)
bench_fill_queue_LDADD = $(SERVICE_LINK)

# make bench BENCH=DIR and make torture TORTURE=DIR run the two harnesses (DIR: the folder of each) on tern as built,
# installed in a prefix of its own. Both want root. The benchmark compares with BENCH_PEER, and trusts ratios only.
# make scale BENCH=DIR shows how cost grows with the queue, connections and destinations, with the load generators
# of the benchmark's harness; SCALE holds what bench/scale is called with: series, sizes (--short), where (--work, --out).
HARNESS = $(abs_builddir)/harness
HARNESS_PREFIX = $(HARNESS)/installed
BENCH_PEER = postfix
BENCH_ROUNDS = 3
BENCH_POINTS = inbound-maildir:c=10,s=4K inbound-newconn:c=10,s=4K relay:c=10,s=4K accept-only:c=10,s=4K sendmail startup
SCALE =
TORTURE_INST = 0
TORTURE_RUNS = ledger 'chaos --rounds 40' diskfull privsep 'powerloss --rounds 3' badinput

harness-install: all
	$(MAKE) -s install prefix=$(HARNESS_PREFIX) sysconfdir=$(HARNESS_PREFIX)/etc localstatedir=$(HARNESS_PREFIX)/var >/dev/null

bench: harness-install
	@test -x "$(BENCH)/compare" || { echo "usage: make bench BENCH=folder of the harness" >&2; exit 2; }
	rm -rf $(HARNESS)/bench && cp -r "$(BENCH)" $(HARNESS)/bench && chmod -R u+w $(HARNESS)/bench
	cd $(HARNESS)/bench && ADAPTERS=$(abs_top_srcdir)/bench/adapters/smtp TERN_PREFIX=$(HARNESS_PREFIX) \
		./compare -k $(BENCH_ROUNDS) tern $(BENCH_PEER) $(BENCH_POINTS)

scale: harness-install
	@test -x "$(BENCH)/compare" || { echo "usage: make scale BENCH=folder of the harness [SCALE=options]" >&2; exit 2; }
	rm -rf $(HARNESS)/scale && cp -r "$(BENCH)" $(HARNESS)/scale && chmod -R u+w $(HARNESS)/scale
	$(MAKE) -s -C $(HARNESS)/scale >/dev/null
	TERN_PREFIX=$(HARNESS_PREFIX) TERN_BUILD=$(abs_builddir) BENCH=$(HARNESS)/scale PYTHONDONTWRITEBYTECODE=1 \
		$(srcdir)/bench/scale $(SCALE)

torture: harness-install
	@test -x "$(TORTURE)/ledger" || { echo "usage: make torture TORTURE=folder of the harness" >&2; exit 2; }
	@failed=; for run in $(TORTURE_RUNS); do \
		set -- $$run; tool=$$1; shift; echo "== $$run"; \
		ADAPTERS=$(abs_top_srcdir)/t/adapters/torture TERN_PREFIX=$(HARNESS_PREFIX) PYTHONDONTWRITEBYTECODE=1 \
			"$(TORTURE)/$$tool" --adapter tern --inst $(TORTURE_INST) "$$@" || failed="$$failed $$tool"; \
	done; $(MAKE) -s acceptance || failed="$$failed acceptance"; \
	test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

# Tests of t/e2e in a form that is too long for ./check, on tern as built: the import of a large Maildir of Dovecot's,
# and 50 clients of IMAP while processes are killed, once for each seed. Both want root; build without sanitizers.
ACCEPTANCE_MESSAGES = 20000
ACCEPTANCE_SEEDS = 1 2 3
ACCEPTANCE_SECONDS = 60

acceptance: harness-install
	@export TERN_BUILD=$(abs_builddir) TERN_PREFIX=$(HARNESS_PREFIX) PYTHONDONTWRITEBYTECODE=1; \
	export TERN_IMPORT_MESSAGES=$(ACCEPTANCE_MESSAGES) TERN_IMAP_CLIENTS=50 TERN_IMAP_SECONDS=$(ACCEPTANCE_SECONDS); \
	failed=; cd $(abs_top_srcdir)/t/e2e || exit 1; \
	echo "== import"; python3 test_dovecot_import.py || failed="$$failed import"; \
	for seed in $(ACCEPTANCE_SEEDS); do \
		echo "== faults, seed $$seed"; TERN_IMAP_SEED=$$seed python3 test_imap_faults.py || failed="$$failed faults:$$seed"; \
	done; test -z "$$failed" || { echo "failed:$$failed"; exit 1; }

clean-local: clean-harness
clean-harness:
	rm -rf $(HARNESS)

.PHONY: acceptance clean-harness bench scale torture harness-install
