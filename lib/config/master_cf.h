/* master.cf: the table of services, one line a service.
 *
 *   service type private unprivileged chroot wakeup process_limit command [arguments]
 *
 * Arguments of the form -o name=value or -o { name = value } override main.cf
 * for that service. Parsing is pure. */
#ifndef TERN_MASTER_CF_H
#define TERN_MASTER_CF_H

#include "buf.h"
#include "config_file.h"
#include "failure.h"
#include "str.h"

enum master_cf_type {
    MASTER_CF_INET,
    MASTER_CF_UNIX,
    MASTER_CF_FIFO,
    MASTER_CF_PASS,
    MASTER_CF_UNIX_DGRAM,
};

/* The columns in order; the words are those of ternconf -F. */
enum master_cf_field {
    MASTER_CF_FIELD_SERVICE,
    MASTER_CF_FIELD_TYPE,
    MASTER_CF_FIELD_PRIVATE,
    MASTER_CF_FIELD_UNPRIVILEGED,
    MASTER_CF_FIELD_CHROOT,
    MASTER_CF_FIELD_WAKEUP,
    MASTER_CF_FIELD_PROCESS_LIMIT,
    MASTER_CF_FIELD_COMMAND, /* with its arguments */
};
#define MASTER_CF_FIELDS 8

struct master_cf_row {
    struct str name;
    enum master_cf_type type;
    bool is_private;     /* "-": yes; inet services are public whatever they say */
    bool is_unprivileged; /* "-": yes */
    bool is_chroot;      /* "-": no */
    int64_t wakeup;      /* seconds; 0 ("-"): never */
    bool wakeup_only_if_used; /* "60?" */
    int64_t process_limit; /* -1 ("-"): default_process_limit; 0: no limit */
    struct str command;    /* the program alone */
    const struct str *arguments; /* those that are not overrides, in order */
    size_t argument_count;
    const struct config_override *overrides;
    size_t override_count;
    size_t line; /* where it begins, from 1 */
    struct str fields[MASTER_CF_FIELDS]; /* as written; arguments of the command in the form of ternconf -M */
};

struct master_cf {
    struct arena *arena;
    struct master_cf_row *rows; /* in the order of the file; name and type together are unique */
    size_t count;
};

/* On failure the text of failure is "FILE, line N: ...". */
MUST_USE bool master_cf_parse(struct str text, const char *file, struct master_cf **master_cf,
                              struct failure *failure);
/* Reads and parses DIRECTORY/master.cf. Blocking. */
MUST_USE bool master_cf_load(const char *directory, struct master_cf **master_cf, struct failure *failure);
/* The same, but lines that are wrong are left out and said in errors, a line each. False if the file
 * cannot be read or a line was wrong; the others are in *master_cf (NULL if there are none). Blocking. */
MUST_USE bool master_cf_load_all(const char *directory, struct master_cf **master_cf, struct buf *errors);
void master_cf_free(struct master_cf **master_cf);

struct str master_cf_type_name(enum master_cf_type type);
struct str master_cf_field_name(enum master_cf_field field);
/* Parses a single row's text, without line numbers in messages. */
MUST_USE bool master_cf_parse_row(struct str text, struct arena *arena, struct master_cf_row *row,
                                  struct failure *failure);

#define MASTER_CF_ROWS_MAX 2000
#define MASTER_CF_ARGUMENTS_MAX 1000

#endif
