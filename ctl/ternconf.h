/* ternconf: what its files share. The one context of a run, and printing. */
#ifndef TERN_TERNCONF_H
#define TERN_TERNCONF_H

#include "buf.h"
#include "config_load.h"
#include "config_sheet.h"
#include "failure.h"
#include "master_cf.h"

enum ternconf_class {
    CLASS_BUILTIN = 1 << 0, /* rows of the table */
    CLASS_SERVICE = 1 << 1, /* NAME_suffix of transports */
    CLASS_USER = 1 << 2,    /* what main.cf defines itself */
    CLASS_ALL = CLASS_BUILTIN | CLASS_SERVICE | CLASS_USER,
};

#define OVERRIDES_MAX 1000

struct ternconf {
    const char *directory;
    struct buf main_path, master_path;
    bool defaults, explicit_only, no_names, no_values, fold, json, expand, quiet;
    bool edit, comment_out, remove;                /* -e -# -X */
    bool main_cf, services, fields;                /* -p -M -F */
    unsigned service_parameters;                   /* how many -P */
    const char *tls_mode;                          /* -T */
    unsigned classes;
    struct config_override overrides[OVERRIDES_MAX]; /* -o */
    size_t override_count;
    char **arguments;
    size_t argument_count;
    int status; /* of the process */
};

/* ---- ternconf_trouble.c */

/* One line on standard error; warn obeys -q only where the caller asks. */
void ternconf_warn(const char *format, ...) PRINTF_LIKE(1, 2);
/* Ends the process with 1. */
NO_RETURN void ternconf_fatal(const char *format, ...) PRINTF_LIKE(1, 2);
/* ---- ternconf_files.c */

/* Reads main.cf with what -o says; ends the process if it cannot. */
struct config_sheet *ternconf_sheet(const struct ternconf *run);
struct master_cf *ternconf_services(const struct ternconf *run);
/* The text of a file to edit; empty if it is not there. */
void ternconf_read(const char *path, struct buf *text);

/* ---- ternconf_print.c */

/* "name = value", or one of them, or JSON, as the options say. */
void ternconf_print(const struct ternconf *run, struct str name, struct str value);

/* ---- one for each kind of work */

void ternconf_show_main(struct ternconf *run);
void ternconf_edit_main(struct ternconf *run);
void ternconf_show_services(struct ternconf *run);
void ternconf_show_fields(struct ternconf *run);
void ternconf_show_service_parameters(struct ternconf *run);
void ternconf_edit_services(struct ternconf *run);
void ternconf_edit_fields(struct ternconf *run);
void ternconf_edit_service_parameters(struct ternconf *run);
void ternconf_table_types(void);
void ternconf_bounce_templates(const struct ternconf *run, const char *file, bool expand);

/* Prints what -T asks for. */
void ternconf_tls(const char *mode);

/* ---- ternconf_pattern.c */

/* "service", "service/type", "service/type/third"; * matches anything, what is missing too. */
struct ternconf_pattern {
    struct str service, type, third;
    bool matched;
};
/* Of an argument; parts is how many it may have. */
struct ternconf_pattern ternconf_pattern_parse(struct str text, size_t parts);
bool ternconf_pattern_matches(struct ternconf_pattern *pattern, const struct master_cf_row *row, struct str third);

#endif
