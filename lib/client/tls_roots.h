/* tls_roots: the certificates of authorities as administrators keep them, read before a sandbox closes. */
#ifndef TERN_TLS_ROOTS_H
#define TERN_TLS_ROOTS_H

#include "buf.h"
#include "failure.h"

#define TLS_ROOTS_MAX    ((size_t)16 << 20)                   /* octets in all */
#define TLS_ROOTS_SYSTEM "/etc/ssl/certs/ca-certificates.crt" /* as Debian has it */

/* Appends a file's text, PEM, to roots. False: it cannot be read, or roots is full (roots->limit). Blocking. */
MUST_USE bool tls_roots_add_file(const char *path, struct buf *roots, struct failure *failure);
/* The same of all files of a directory that are named as c_rehash does (CApath). Those that cannot be read
 * are passed over; failure tells of the last one. Blocking. */
MUST_USE bool tls_roots_add_directory(const char *path, struct buf *roots, struct failure *failure);

#endif
