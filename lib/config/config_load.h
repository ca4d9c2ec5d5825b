/* Loading a configuration: main.cf and what overrides it, to struct config;
 * and handing it to a daemon as a sealed memory file with the slice that the
 * daemon may see. */
#ifndef TERN_CONFIG_LOAD_H
#define TERN_CONFIG_LOAD_H

#include "buf.h"
#include "config.h"
#include "config_file.h"
#include "failure.h"

/* What main.cf's defaults take from the machine; see config_system_read. */
struct config_system {
    struct str hostname;
    struct str networks_host;   /* own addresses, for mynetworks_style = host */
    struct str networks_subnet; /* their networks */
    struct str networks_class;
    struct str config_directory; /* default of that parameter; empty: the built-in one */
    struct arena *arena;
};
/* Asks the system (no DNS). Never fails: what is not known is left at a safe word. */
void config_system_read(struct config_system *machine);
void config_system_free(struct config_system *machine);

/* Evaluates the text of a main.cf (pure): file names it in messages. warnings,
 * if given, gets one line for every parameter that is unknown, unused, or
 * Postfix's and not tern's. Only what scope names is set and checked. */
MUST_USE bool config_evaluate(struct str text, const char *file, const struct config_system *machine,
                              const struct config_override *overrides, size_t override_count, unsigned scope,
                              struct config **config, struct buf *warnings, struct failure *failure);

/* Reads DIRECTORY/main.cf (a missing one counts as empty only if its directory
 * exists) and evaluates it; config_directory is set to the directory. Blocking. */
MUST_USE bool config_load(const char *directory, const struct config_override *overrides, size_t override_count,
                          unsigned scope, struct config **config, struct buf *warnings, struct failure *failure);
/* The same for the sake of what it finds: every error and every warning, a line each. True if
 * there is no error. Blocking. */
MUST_USE bool config_check(const char *directory, const struct config_override *overrides, size_t override_count,
                           struct buf *errors, struct buf *warnings);
/* The directory that MAIL_CONFIG names, else the built-in one. */
const char *config_default_directory(void);

/* The slice of config that scope may see, as bytes. */
void config_encode(const struct config *config, unsigned scope, struct buf *encoded);
/* The other way round, checked as if it came from outside. */
MUST_USE bool config_decode(struct str encoded, struct config **config, struct failure *failure);
/* Puts the slice into a memory file that nobody can alter; *descriptor is close-on-exec, at offset 0. */
MUST_USE bool config_seal(const struct config *config, unsigned scope, int *descriptor, struct failure *failure);
/* Reads a sealed configuration; the descriptor stays open. Refuses a file that is not sealed. */
MUST_USE bool config_unseal(int descriptor, struct config **config, struct failure *failure);


#endif
