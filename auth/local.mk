# auth: what decides is a library, so that unit tests and tern(8) have it without the daemon.
noinst_LIBRARIES += auth/libauth.a
auth_libauth_a_SOURCES = auth/source.h auth/auth_account.c auth/sources.c auth/sources.h auth/source_passwd_file.c auth/source_lmdb.c \
	auth/account_line.c auth/account_line.h auth/account_quota.c auth/account_quota.h auth/password_hash.c auth/password_hash.h auth/password_digest.c \
	auth/password_scram.c auth/sasl_prepare.c auth/sasl_prepare.h \
	auth/sasl_message.c auth/sasl_message.h auth/failures.c auth/failures.h auth/hash_queue.c auth/hash_queue.h \
	auth/password_cache.c auth/password_cache.h auth/auth_state.c auth/auth_state.h
auth_libauth_a_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE) $(ARGON2_CFLAGS) $(IDN_CFLAGS)
AUTH_INCLUDE = $(CLIENT_INCLUDE) -iquote $(top_srcdir)/auth
AUTH_LINK = auth/libauth.a $(CLIENT_LINK) $(CRYPT_LIBS) $(ARGON2_LIBS) $(IDN_LIBS)

tern_PROGRAMS += auth/auth
auth_auth_SOURCES = auth/auth.c auth/auth_daemon.h auth/admit.c auth/bans.c auth/exchange.c auth/exchange.h auth/mechanisms.c auth/mechanism_offer.c auth/login.c auth/mechanism_plain.c \
	auth/mechanism_external.c auth/mechanism_cram_md5.c auth/mechanism_oauth.c auth/mechanism_scram.c auth/relay.c auth/relay.h
auth_auth_CPPFLAGS = $(AM_CPPFLAGS) $(CLIENT_INCLUDE)
auth_auth_LDADD = $(AUTH_LINK) $(FAULT_LINK)
dist_man_MANS += man/tern-auth.8
