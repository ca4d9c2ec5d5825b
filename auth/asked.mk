# Sources of accounts that ask somebody else: databases, directories, PAM, OAuth, Dovecot.
auth_libauth_a_SOURCES += auth/source_places.c auth/source_places.h auth/source_settings.c auth/source_settings.h \
	auth/source_template.c auth/source_template.h auth/account_builder.c auth/account_builder.h \
	auth/sql_query.c auth/sql_query.h auth/source_hosts.c auth/source_hosts.h \
	auth/source_pgsql.c auth/source_sqlite.c auth/source_mysql.c \
	auth/ldap_escape.c auth/ldap_escape.h auth/source_ldap.c auth/source_pam.c \
	auth/jwt.c auth/jwt_keys.c auth/jwt.h auth/jwt_text.c auth/jwt_text.h auth/oauth_claims.c auth/oauth_claims.h auth/source_oauth.c auth/source_oauth.h \
	auth/dovecot_line.c auth/dovecot_line.h auth/dovecot_client.c auth/dovecot_client.h auth/source_dovecot.c
auth_libauth_a_CPPFLAGS += $(PGSQL_CFLAGS) $(SQLITE_CFLAGS) $(MYSQL_CFLAGS) $(LDAP_CFLAGS) $(JANSSON_CFLAGS)
AUTH_LINK += $(PGSQL_LIBS) $(SQLITE_LIBS) $(MYSQL_LIBS) $(LDAP_LIBS) -lm
