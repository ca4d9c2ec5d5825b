/* reader: the helper that may read the files.
 *
 * Certificates' files are mostly root's alone, and the keys process gives root up
 * before it understands a byte of them. So prepare() makes a second process, which
 * keeps one capability (to read any file) under an account of its own kind's and a
 * filter, gathers the material, sends it, and sends it anew whenever a file has
 * changed. It understands no certificate, hears nothing, and ends with its parent. */
#ifndef TERN_KEYS_READER_H
#define TERN_KEYS_READER_H

#include "config.h"
#include "buf.h"
#include "failure.h"

/* Makes the helper. *socket: where material comes from, each time with its length before it.
 * Before the loop and the sandbox. is_private: an ordinary user's instance. */
MUST_USE bool reader_start(const struct config *config, bool is_private, int *socket, struct failure *failure);
/* Reads the next material whole. Blocks outside tasks; suspends in one. False: the helper has
 * gone, or (failure.error_number ENOMEM) what it sent is too large. */
MUST_USE bool reader_receive(int socket, struct buf *material, struct failure *failure);

#endif
