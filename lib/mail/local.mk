noinst_LIBRARIES += lib/mail/libmail.a
lib_mail_libmail_a_CPPFLAGS = $(AM_CPPFLAGS) $(MAIL_INCLUDE)
lib_mail_libmail_a_SOURCES =
