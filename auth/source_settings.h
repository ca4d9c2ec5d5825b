/* source_settings: the file that a source is described in (pgsql:/etc/tern/users.cf),
 * "name = value" a line as in Postfix's table files.
 *
 * What a type understands is a table of rows; a name that stands in no row, a value
 * out of its bounds and a required setting that is missing are said with file and
 * line, so that a misspelt setting cannot pass for its default. Values are taken as
 * they stand: nothing is expanded, and white space inside is kept (passwords). */
#ifndef TERN_SOURCE_SETTINGS_H
#define TERN_SOURCE_SETTINGS_H

#include "failure.h"
#include "memory.h"
#include "str.h"

enum source_setting_kind {
    SOURCE_TEXT,     /* struct str */
    SOURCE_REQUIRED, /* struct str that must not be empty */
    SOURCE_SWITCH,   /* bool: yes, no */
    SOURCE_NUMBER,   /* int64_t */
    SOURCE_SECONDS,  /* int64_t: seconds, units s m h d w */
    SOURCE_CHOICE,   /* struct str: one of choices, "a|b" */
    SOURCE_IGNORED,  /* Postfix has it and it means nothing here */
};

struct source_setting {
    const char *name;
    enum source_setting_kind kind;
    size_t offset;     /* of its field in the type's own struct of settings */
    const char *value; /* the default, as it would be written */
    int64_t minimum, maximum;
    const char *choices;
};

#define SOURCE_SETTINGS_MAX_BYTES ((size_t)65536)

/* Fills target (a type's struct of settings) from text; texts live in the arena. Pure.
 * file names it in messages. False, and target untouched, with what is wrong. */
MUST_USE bool source_settings_parse(struct str text, const char *file, const struct source_setting *rows, size_t count,
                                    void *target, size_t target_size, struct arena *arena, struct failure *failure);
/* The same from a file. Blocking. */
MUST_USE bool source_settings_read(struct str path, const struct source_setting *rows, size_t count, void *target,
                                   size_t target_size, struct arena *arena, struct failure *failure);
/* A whole file of at most limit bytes, in the arena. Blocking. */
MUST_USE bool source_read_file(struct str path, size_t limit, struct arena *arena, struct str *content,
                               struct failure *failure);

#endif
