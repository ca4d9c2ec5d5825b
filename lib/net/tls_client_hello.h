/* tls_client_hello: the server's name in a ClientHello, before OpenSSL has looked. */
#ifndef TERN_TLS_CLIENT_HELLO_H
#define TERN_TLS_CLIENT_HELLO_H

#include "compiler.h"
#include "str.h"

#define TLS_SERVER_NAME_MAX 255

/* The host name in the content of a server_name extension (RFC 6066 section 3), lower
 * case and without a trailing dot. False if it is not well formed, or no name of a host. */
MUST_USE bool tls_server_name_parse(struct str extension, char name[TLS_SERVER_NAME_MAX + 1]);

#endif
