# lib/mail: addresses, headers, dates, MIME, SMTP grammar, notices, charsets, what IMAP makes of messages: pure functions.
noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE) $(IDN2_CFLAGS)
lib_mail_libmail_a_SOURCES = \
	lib/mail/utf8.c lib/mail/utf8.h \
	lib/mail/log_text.c lib/mail/log_text.h \
	lib/mail/base64.c lib/mail/base64.h \
	lib/mail/xtext.c lib/mail/xtext.h \
	lib/mail/maildir_host.c lib/mail/maildir_host.h \
	lib/mail/date.c lib/mail/date.h \
	lib/mail/status_code.c lib/mail/status_code.h \
	lib/mail/domain.c lib/mail/domain.h lib/mail/idn.c lib/mail/idn.h
lib_mail_libmail_a_SOURCES += \
	lib/mail/address.c lib/mail/address.h \
	lib/mail/header.c lib/mail/header.h
lib_mail_libmail_a_SOURCES += \
	lib/mail/address_list.c lib/mail/address_list.h lib/mail/address_complete.c lib/mail/address_complete.h \
	lib/mail/smtp_command.c lib/mail/smtp_command.h \
	lib/mail/envelope_wish.c lib/mail/envelope_wish.h \
	lib/mail/sasl_client.c lib/mail/sasl_client.h \
	lib/mail/smtp_reply.c lib/mail/smtp_reply.h \
	lib/mail/received.c lib/mail/received.h
lib_mail_libmail_a_SOURCES += \
	lib/mail/dsn.c lib/mail/dsn.h \
	lib/mail/mime.c lib/mail/mime_value.c lib/mail/mime.h
lib_mail_libmail_a_SOURCES += lib/mail/sts_policy.c lib/mail/sts_policy.h
lib_mail_libmail_a_SOURCES += lib/mail/tlsrpt_record.c lib/mail/tlsrpt_record.h
lib_mail_libmail_a_SOURCES += lib/mail/tlsrpt_report.c lib/mail/tlsrpt_report.h
lib_mail_libmail_a_SOURCES += lib/mail/notice_template.c lib/mail/notice_template.h
lib_mail_libmail_a_SOURCES += \
	lib/mail/crlf_view.c lib/mail/crlf_view.h
lib_mail_libmail_a_SOURCES += lib/mail/transfer_reader.c lib/mail/transfer_reader.h
lib_mail_libmail_a_SOURCES += lib/mail/encoded_word.c lib/mail/encoded_word.h
lib_mail_libmail_a_SOURCES += lib/mail/charset.c lib/mail/charset.h lib/mail/charset_single.def
lib_mail_libmail_a_SOURCES += lib/mail/imap_text.c lib/mail/imap_text.h
lib_mail_libmail_a_SOURCES += lib/mail/imap_envelope.c lib/mail/imap_envelope.h
lib_mail_libmail_a_SOURCES += lib/mail/imap_structure.c lib/mail/imap_structure.h
lib_mail_libmail_a_SOURCES += lib/mail/imap_section.c lib/mail/imap_section.h
lib_mail_libmail_a_SOURCES += lib/mail/internal_date.c lib/mail/internal_date.h
lib_mail_libmail_a_SOURCES += lib/mail/mutf7.c lib/mail/mutf7.h
lib_mail_libmail_a_SOURCES += lib/mail/list_pattern.c lib/mail/list_pattern.h
lib_mail_libmail_a_SOURCES += lib/mail/casemap.c lib/mail/casemap.h
lib_mail_libmail_a_SOURCES += lib/mail/base_subject.c lib/mail/base_subject.h
lib_mail_libmail_a_SOURCES += lib/mail/thread.c lib/mail/thread_id.c lib/mail/thread.h
lib_mail_libmail_a_SOURCES += lib/mail/thread_tree.c lib/mail/thread_tree.h
lib_mail_libmail_a_SOURCES += lib/mail/sort_key.c lib/mail/sort_key.h
lib_mail_libmail_a_SOURCES += lib/mail/preview.c lib/mail/preview.h
lib_mail_libmail_a_SOURCES += lib/mail/preview_html.c lib/mail/preview_html.h
lib_mail_libmail_a_SOURCES += lib/mail/preview_writer.c lib/mail/preview_writer.h
lib_mail_libmail_a_SOURCES += lib/mail/part_text.c lib/mail/part_text.h
lib_mail_libmail_a_SOURCES += lib/mail/message_rows.c lib/mail/message_row.c lib/mail/message_rows.h
lib_mail_libmail_a_SOURCES += lib/mail/sort_order.c lib/mail/sort_order.h
lib_mail_libmail_a_SOURCES += lib/mail/message_ranks.c lib/mail/message_ranks.h
lib_mail_libmail_a_SOURCES += lib/mail/kept_answer.c lib/mail/kept_answer.h
