/* config_file: what main.cf and master.cf have in common: reading the file, and the
 * "-o name=value" that both sides know. */
#ifndef TERN_CONFIG_FILE_H
#define TERN_CONFIG_FILE_H

#include "buf.h"
#include "failure.h"
#include "str.h"

/* Most bytes of main.cf, master.cf, a sealed configuration. */
#define CONFIG_FILE_MAX ((size_t)4 * 1024 * 1024)

/* One "-o name=value" of master.cf or the command line. */
struct config_override {
    struct str name;
    struct str value; /* as in main.cf: $name is expanded */
};

/* Reads a whole file of at most limit bytes. Blocking. */
MUST_USE bool config_read_file(const char *path, size_t limit, struct buf *content, struct failure *failure);

#endif
