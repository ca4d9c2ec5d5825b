/* folder_import: what another program knew of a folder: Dovecot's dovecot-uidlist and dovecot-keywords, Courier's
 * courierimapuiddb. */
#ifndef TERN_FOLDER_IMPORT_H
#define TERN_FOLDER_IMPORT_H

#include "failure.h"
#include "hash.h"
#include "memory.h"
#include "str.h"

struct folder_import {
    bool found;
    uint32_t uid_validity, uid_next;
    struct map *uids;        /* base name -> UID as (void *)(uintptr_t) */
    struct str keywords[26]; /* by letter; in texts */
    struct arena *texts;
    bool has_id;
    uint8_t id[16];
};

/* Reads them if they are there; found says so. False: they are there and cannot be read. */
MUST_USE bool folder_import_read(int directory, struct folder_import *import, struct failure *failure);
/* The texts of the two files, pure: texts is there, uids is made. False: it is no such list. */
MUST_USE bool folder_import_list(struct str text, struct folder_import *import);
void folder_import_keywords(struct str text, struct folder_import *import);
void folder_import_free(struct folder_import *import);

#endif
