/* auth_state: what auth keeps over restarts, in one file: wrong logins and bans (failures.h), and the secret that makes
 * SCRAM's salts for names without an account.
 *
 * The file is opened before the sandbox and then only written through its descriptor: two
 * places in it are written in turn, each with a number and a sum, and the newest whole one counts; so
 * a crash leaves the old one. It is written on a helper thread, never in the way of a login. A
 * process that takes over (reload) waits for the lock of the one before, and reads what that one wrote. */
#ifndef TERN_AUTH_STATE_H
#define TERN_AUTH_STATE_H

#include "failure.h"
#include "failures.h"

#define AUTH_STATE_SECRET ((size_t)32) /* octets */

struct auth_state;

/* Opens (and makes, mode 0600) data_directory/auth/state. Never NULL: without a file, failure says why and nothing is
 * kept. Before the sandbox. */
struct auth_state *auth_state_open(struct str data_directory, struct failure *failure);
/* Reads what is there into failures, if the lock is to be had and it was not read yet. Blocks for the time of a file's
 * reading; call it at start and then once a second. */
void auth_state_adopt(struct auth_state *state, struct failures *failures, int64_t now);
/* Writes, if something has changed since the last time and the file is ours. In a task. */
MUST_USE bool auth_state_save(struct auth_state *state, const struct failures *failures, int64_t now,
                              struct failure *failure);
/* True if there is something to write now. */
bool auth_state_wants(const struct auth_state *state, const struct failures *failures);
/* Lets the next process have it; nothing is written any more. */
void auth_state_release(struct auth_state *state);
const uint8_t *auth_state_secret(const struct auth_state *state);

/* ---- one place of the file; pure */
#define AUTH_STATE_HEADER ((size_t)64)
/* Appends header and content. */
bool auth_state_pack(uint64_t number, struct str secret, struct str records, struct buf *packed);
/* Reads one: borrows from bytes. False if it is not whole. */
MUST_USE bool auth_state_unpack(struct str bytes, uint64_t *number, struct str *secret, struct str *records);

#endif
