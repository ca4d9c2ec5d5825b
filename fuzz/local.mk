# Fuzz targets: one for every parser, listed by floor or daemon.
#
# make check and make fuzz-replay run each over fuzz/seeds/NAME; make fuzz FUZZ_SECONDS=60 builds
# them with clang's libFuzzer in fuzz-build/ and runs each for that long, all processors at work; what
# they learn stays, minimised, in FUZZ_CORPUS. make coverage says how much of the parsers the seeds and
# the unit tests run, and fails below COVERAGE_LEAST per cent.
EXTRA_DIST += fuzz/fuzz_imap_grammar.dict fuzz/run fuzz/coverage fuzz/second_build fuzz/seeds

include fuzz/base.mk
include fuzz/net.mk
include fuzz/mail.mk
include fuzz/config.mk
include fuzz/table.mk
include fuzz/queue.mk
include fuzz/service.mk
include fuzz/client.mk
include fuzz/smtpd.mk
include fuzz/auth.mk
include fuzz/store.mk
include fuzz/pop3d.mk

FUZZ_SECONDS = 60
FUZZ_CORPUS = fuzz-corpus
COVERAGE_LEAST = 90

# Every source file that has a fuzz target.
PARSERS = lib/base/str.c \
	lib/net/dns_packet.c lib/net/endpoint.c lib/net/proxy_protocol.c lib/net/resolv_conf.c lib/net/stream.c lib/net/tls_chain.c lib/net/tls_signed.c lib/net/tls_client_hello.c lib/net/tls_protocols.c \
	lib/net/url.c \
	lib/mail/address.c lib/mail/address_complete.c lib/mail/address_list.c lib/mail/base64.c lib/mail/date.c lib/mail/domain.c lib/mail/dsn.c \
	lib/mail/header.c lib/mail/log_text.c lib/mail/mime.c lib/mail/mime_value.c lib/mail/notice_template.c \
	lib/mail/envelope_wish.c lib/mail/received.c lib/mail/sasl_client.c lib/mail/smtp_command.c lib/mail/smtp_reply.c lib/mail/status_code.c lib/mail/utf8.c \
	lib/mail/xtext.c lib/mail/crlf_view.c \
	lib/mail/transfer_reader.c \
	lib/mail/encoded_word.c \
	lib/mail/charset.c \
	lib/mail/imap_text.c \
	lib/mail/imap_envelope.c \
	lib/mail/imap_structure.c \
	lib/mail/imap_section.c \
	lib/mail/internal_date.c \
	lib/mail/mutf7.c \
	lib/mail/list_pattern.c \
	lib/mail/casemap.c \
	lib/mail/base_subject.c \
	lib/mail/thread.c lib/mail/thread_id.c lib/mail/thread_tree.c \
	lib/mail/sort_key.c lib/mail/message_rows.c lib/mail/message_row.c lib/mail/message_ranks.c lib/mail/kept_answer.c lib/mail/sort_order.c \
	lib/mail/preview.c \
	lib/mail/preview_html.c \
	lib/mail/preview_writer.c \
	lib/mail/sts_policy.c \
	lib/mail/tlsrpt_record.c \
	lib/mail/tlsrpt_report.c \
	lib/mail/part_text.c \
	lib/config/config_edit.c lib/config/config_lines.c lib/config/config_seal.c lib/config/config_sheet.c \
	lib/config/config_value.c lib/config/main_cf.c lib/config/main_cf_expand.c lib/config/master_cf.c lib/config/restriction_list.c \
	lib/table/alias_members.c lib/table/cidr_table.c lib/table/inline_table.c lib/table/ip_prefix.c \
	lib/table/logical_lines.c lib/table/match_list.c lib/table/pattern_file.c lib/table/pcre_table.c \
	lib/table/regexp_table.c lib/table/table_source.c lib/table/table_words.c \
	lib/table/texthash_table.c \
	lib/queue/login_usage.c lib/queue/queue_file.c lib/queue/record.c lib/service/ipc_codec.c lib/base/log_line.c \
	smtp/content.c smtp/next_hop.c smtp/token_grant.c smtp/tls_policy.c smtp/tls_dane_read.c \
	lib/store/folder_file.c lib/store/folder_import.c lib/store/folder_name.c lib/store/folder_state.c lib/store/folder_state_apply.c lib/store/folder_state_load.c lib/store/slot_set.c lib/store/store_name.c lib/store/uid_set.c \
	imapd/grammar_words.c imapd/grammar_fetch.c imapd/grammar_mailbox.c imapd/grammar_search.c \
	pop3d/pop3_line.c pop3d/uidl.c pop3d/saved_uidl.c \
	auth/sasl_message.c auth/sasl_prepare.c auth/account_line.c auth/account_quota.c auth/failures.c \
	smtpd/content_scan.c smtpd/content_header.c smtpd/access_action.c

include fuzz/asked.mk

.PHONY: coverage fuzz fuzz-replay fuzz-libraries fuzz-list unit-list
fuzz-replay: $(FUZZ_TARGETS)
	@failed=; for target in $(FUZZ_TARGETS); do \
	    printf '%s: ' "$$target"; srcdir='$(srcdir)' ./$$target || failed="$$failed $$target"; \
	done; [ -z "$$failed" ] || { echo "fuzz-replay: FAILED:$$failed" >&2; exit 1; }

# FUZZ_ONLY="fuzz_str ..." runs only those.
fuzz:
	CLANG='$(CLANG)' MAKE='$(MAKE)' FUZZ_ONLY='$(FUZZ_ONLY)' FUZZ_CORPUS='$(FUZZ_CORPUS)' $(SHELL) $(srcdir)/fuzz/run '$(srcdir)' '$(FUZZ_SECONDS)'

coverage:
	CC='$(CC)' MAKE='$(MAKE)' $(SHELL) $(srcdir)/fuzz/coverage '$(srcdir)' '$(COVERAGE_LEAST)' $(PARSERS)

# For fuzz/run and fuzz/coverage, in build directories of their own.
fuzz-libraries: $(BUILT_SOURCES) $(noinst_LIBRARIES)
fuzz-list:
	@echo $(FUZZ_TARGETS)
unit-list:
	@echo $(UNIT_TESTS)

clean-local: clean-fuzz
.PHONY: clean-fuzz
clean-fuzz:
	-rm -rf fuzz-build build-coverage
