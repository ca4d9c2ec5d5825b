/* jwt_text: the two encodings that tokens, keys and the answers about them come in: JSON objects and base64url. Pure
 * and bounded: no deeper than JSON_DEPTH_MAX, no name twice in an object. */
#ifndef TERN_JWT_TEXT_H
#define TERN_JWT_TEXT_H

#include <jansson.h>

#include "buf.h"
#include "failure.h"
#include "memory.h"
#include "str.h"

#define JSON_DEPTH_MAX 16

/* JSON text that is an object, within the bounds; NULL with what is wrong. json_decref it. */
MUST_USE json_t *jwt_json(struct str text, size_t most, struct failure *failure);
/* Appends what base64url without padding (RFC 7515 section 2) encodes. */
MUST_USE bool jwt_base64url(struct str text, struct buf *out);

#endif
