/* folder_name: what the name of a message's file says: when it came, its sizes, its flags. Pure.
 *
 * "1700000000.M5P7.host,S=100,W=103:2,FS": the base, up to the ':', stays for ever; the info part behind it has the
 * flags. */
#ifndef TERN_FOLDER_NAME_H
#define TERN_FOLDER_NAME_H

#include "folder_file.h"

/* The flags of a name's info part (":2,FS"), and whether it is just what folder_info_format would write for them. */
void folder_info_parse(struct str info, uint8_t *flags, bool *canonical);
/* ":2," and the letters in ASCII order. */
void folder_info_format(uint8_t flags, struct buf *text);
/* Parts a file name into what stays and the info part (with its ':'; may be empty). False: not a message's name. */
MUST_USE bool folder_name_split(struct str file_name, struct str *base, struct str *info);
/* The file's name beneath the folder, "cur/..." or "new/...", as a record says. */
void folder_record_path(const struct folder_record *record, struct buf *path);
/* ",S=" and ",W=" of a name; 0 where there is none. */
void folder_name_sizes(struct str base, uint64_t *size, uint64_t *virtual_size);
/* When the file came by its name, in microseconds: the seconds that it begins with, 0 if it does not, and those after
 * the M of its second part ("M5P3", "V8I1M5"), which are written with and without leading zeros. */
int64_t folder_name_date(struct str base);

/* The base of a name as a record has it (what follows it there stands behind a NUL). */
struct str folder_name_base(struct str name);

#endif
