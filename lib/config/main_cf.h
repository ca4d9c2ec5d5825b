/* The text of main.cf: settings with their lines, and the expansion of $name in
 * values. Pure; what a value means is not known here. */
#ifndef TERN_MAIN_CF_H
#define TERN_MAIN_CF_H

#include "buf.h"
#include "failure.h"
#include "str.h"

struct main_cf_setting {
    struct str name;
    struct str value;      /* not expanded; runs of white space are one space */
    size_t line;           /* where it begins, from 1 */
    size_t overrides_line; /* line of an earlier setting of this name, 0 if there is none */
    struct str overridden; /* the value that stood there */
};

struct main_cf {
    struct arena *arena;
    struct main_cf_setting *settings; /* each name once; the last value has won */
    size_t count;
};

/* Parses the text. On failure the text of failure is "FILE, line N: ...". */
MUST_USE bool main_cf_parse(struct str text, const char *file, struct main_cf **main_cf, struct failure *failure);
/* The same, but lines that are wrong are left out and said in errors, a line each. */
void main_cf_parse_all(struct str text, const char *file, struct main_cf **main_cf, struct buf *errors);
void main_cf_free(struct main_cf **main_cf);

/* Cuts "name = value" at the first = and trims both; false with what is wrong. */
MUST_USE bool main_cf_split(struct str text, struct str *name, struct str *value, struct failure *failure);
/* True for a run of letters, digits and _ - . (as in "scalemail-backend_time_limit"). */
bool main_cf_is_name(struct str name);

/* Whose values expansion uses. */
struct main_cf_lookup {
    /* The value of a name. *literal is false on entry; true means: do not expand
     * it further. False for an unknown name, which counts as empty. */
    bool (*lookup)(void *context, struct str name, struct str *value, bool *literal);
    void *context;
};

/* Appends value with all of these replaced, in what they give, too:
 *   $name ${name} $(name)         the value
 *   ${name?text} ${name:text}     text if the value is not empty, or if it is
 *   ${name?{text}:{text}}         one or the other
 *   ${{a} == {b} ? {x} : {y}}     == != < <= > >=, as numbers where both are; <level and so on for versions
 *   $$                            a dollar sign
 * Bounded in depth, steps and bytes; false with the reason. */
MUST_USE bool main_cf_expand(struct str value, const struct main_cf_lookup *lookup, struct buf *expanded,
                             struct failure *failure);

#define MAIN_CF_EXPAND_DEPTH 40
#define MAIN_CF_EXPAND_STEPS 20000
#define MAIN_CF_EXPAND_BYTES ((size_t)1024 * 1024)
#define MAIN_CF_EXPAND_READ ((size_t)64 * 1024 * 1024)
#define MAIN_CF_SETTINGS_MAX 20000

#endif
