/* A sheet: the settings of a main.cf with what overrides them, over the
 * defaults; values as they are written, expanded when asked for. This is what
 * ternconf prints and what a struct config is made from. */
#ifndef TERN_CONFIG_SHEET_H
#define TERN_CONFIG_SHEET_H

#include "config_load.h"
#include "main_cf.h"
#include "master_cf.h"

struct config_sheet;

/* file names the text in messages. The sheet keeps copies of everything. */
MUST_USE bool config_sheet_create(struct str text, const char *file, const struct config_system *machine,
                                  const struct config_override *overrides, size_t override_count,
                                  struct config_sheet **sheet, struct failure *failure);
/* The same, but settings that are wrong are left out and said in errors, a line each. */
void config_sheet_create_all(struct str text, const char *file, const struct config_system *machine,
                             const struct config_override *overrides, size_t override_count,
                             struct config_sheet **sheet, struct buf *errors);
/* The same from DIRECTORY/main.cf, which may be missing if the directory is there. errors may be NULL:
 * then the first line that is wrong is the failure. Blocking. */
MUST_USE bool config_sheet_load(const char *directory, const struct config_override *overrides, size_t override_count,
                                struct config_sheet **sheet, struct buf *errors, struct failure *failure);
void config_sheet_free(struct config_sheet **sheet);

/* The settings as the text has them. */
const struct main_cf *config_sheet_main_cf(const struct config_sheet *sheet);
/* The value that is set, by an override or else the text. False if it is not set. */
bool config_sheet_explicit(struct config_sheet *sheet, struct str name, struct str *value);
/* The default of a parameter or of NAME_suffix of a transport, not expanded, except
 * for what comes from the machine. False for another name. Lives as long as the sheet. */
bool config_sheet_default(struct config_sheet *sheet, struct str name, struct str *value);
/* Expands any text with the sheet's values. */
MUST_USE bool config_sheet_expand(struct config_sheet *sheet, struct str text, struct buf *expanded,
                                  struct failure *failure);
/* Expands what the parameter is set to, or its default; RAW ones stay as they are. A failure names file and line. */
MUST_USE bool config_sheet_value(struct config_sheet *sheet, const struct parameter *parameter, struct buf *value,
                                 struct failure *failure);

/* Marks the names that text refers to as used; text is a value of master.cf, or
 * a name itself. */
void config_sheet_use(struct config_sheet *sheet, struct str text);
/* Marks what the commands and overrides of master.cf refer to; services may be NULL. */
void config_sheet_use_services(struct config_sheet *sheet, const struct master_cf *services);
/* Marks what all values refer to. Needed once before the next two. */
void config_sheet_use_all(struct config_sheet *sheet);
bool config_sheet_is_used(const struct config_sheet *sheet, struct str name);
/* One line a warning: names overridden, unused, foreign, undefined ones. */
void config_sheet_warnings(struct config_sheet *sheet, struct buf *warnings);

/* Makes a struct config of what scope may see. */
MUST_USE bool config_sheet_evaluate(struct config_sheet *sheet, unsigned scope, struct config **config,
                                    struct failure *failure);
/* Adds a line to errors for each value that is wrong; what every parameter would be made of is tried. */
void config_sheet_errors(struct config_sheet *sheet, struct buf *errors);

#endif
