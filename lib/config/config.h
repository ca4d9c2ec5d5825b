/* struct config: every parameter as a field of its own name and type.
 *
 * Text, lists, tables, paths and choices are struct str (a NUL follows the
 * bytes); numbers, times (seconds) and sizes (bytes) int64_t; yes/no is bool.
 * A configuration never changes once made. In one that was unsealed the fields
 * outside of its scope are zero: whoever reads a parameter is named in the
 * scopes of its row in parameters.def. */
#ifndef TERN_CONFIG_STRUCT_H
#define TERN_CONFIG_STRUCT_H

#include "compiler.h"
#include "parameter.h"
#include "str.h"

struct arena;

#define CONFIG_FIELD_PARAMETER_TEXT struct str
#define CONFIG_FIELD_PARAMETER_RAW struct str
#define CONFIG_FIELD_PARAMETER_LIST struct str
#define CONFIG_FIELD_PARAMETER_TABLES struct str
#define CONFIG_FIELD_PARAMETER_PATH struct str
#define CONFIG_FIELD_PARAMETER_CHOICE struct str
#define CONFIG_FIELD_PARAMETER_NUMBER int64_t
#define CONFIG_FIELD_PARAMETER_TIME int64_t
#define CONFIG_FIELD_PARAMETER_SIZE int64_t
#define CONFIG_FIELD_PARAMETER_BOOL bool

struct config {
    struct arena *arena; /* holds this struct and all it points to */
    unsigned scope;      /* which fields are set: enum parameter_scope */
    struct str extra;    /* see config_user_value, config_transport_text */
#define PARAM_ROW(field, name, type, value, minimum, maximum, choices, scope, doc) CONFIG_FIELD_##type field;
#include "parameters.def"
};

/* Frees it and all its strings; sets *config to NULL. */
void config_free(struct config **config);

/* The value of a parameter as text, whatever its type: numbers in decimal
 * (seconds, bytes), yes or no. Lives as long as config; numbers are written
 * into scratch. */
struct config_number {
    char text[24];
};
struct str config_value(const struct config *config, const struct parameter *parameter, struct config_number *scratch);

/* A parameter that main.cf defines itself and a parameter of tern names: a
 * restriction class (smtpd_restriction_classes). False if there is none. */
MUST_USE bool config_user_value(const struct config *config, struct str name, struct str *value);

/* The setting of one transport ("smtp", "relay", any name of master.cf):
 * TRANSPORT_suffix if it is set, else the general parameter. suffix is one of
 * parameters.def's PARAM_TRANSPORT rows; the number form gives 0 for another. */
struct str config_transport_text(const struct config *config, struct str transport, struct str suffix,
                                 struct config_number *scratch);
int64_t config_transport_number(const struct config *config, struct str transport, struct str suffix);

#endif
