/* $name in forward_path, luser_relay and command_execution_directory: names of the
 * delivery, no more. Values come from outside: each is filtered. */
#include "worker.h"

struct value {
    const char *name;
    struct str text;
};

/* The local part without the extension, and what parts them. */
static struct str base_of(const struct ipc_local_work *work) {
    size_t beyond = work->extension.length + 1;
    return work->extension.length > 0 && work->local.length > beyond
               ? str_slice(work->local, 0, work->local.length - beyond)
               : work->local;
}

/* The character that parted the extension in this recipient. */
static struct str delimiter_of(const struct ipc_local_work *work, const struct config *config) {
    size_t at = base_of(work).length;
    if (work->extension.length == 0 || config->recipient_delimiter.length == 0) return STR_EMPTY;
    if (at < work->local.length && str_find(config->recipient_delimiter, work->local.data[at]) != STR_NONE)
        return str_slice(work->local, at, at + 1);
    return str_slice(config->recipient_delimiter, 0, 1);
}

static struct str value_of(struct str name, const struct ipc_local_work *work, const struct config *config) {
    struct value values[] = {
        {"user", work->user.length ? work->user : base_of(work)},
        {"home", work->home},
        {"local", work->local},
        {"domain", work->domain},
        {"extension", work->extension},
        {"recipient", work->recipient},
        {"recipient_delimiter", delimiter_of(work, config)},
        {"shell", STR("/bin/sh")},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(values); i++)
        if (str_equal(name, str_from(values[i].name))) return values[i].text;
    return STR_EMPTY;
}

static void append_filtered(struct buf *out, struct str text, struct str filter) {
    for (size_t i = 0; i < text.length; i++) {
        char c = text.data[i];
        buf_append_char(out, filter.length && str_find(filter, c) == STR_NONE ? '_' : c);
    }
}

static struct str take_name(struct str template, size_t *at) {
    size_t begin = *at;
    while (*at < template.length && (ascii_is_alnum(template.data[*at]) || template.data[*at] == '_'))
        (*at)++;
    return str_slice(template, begin, *at);
}

/* What stands in ${...}: name, name?text (if it has a value), name:text (if it has none). */
static bool append_braced(struct str inside, const struct ipc_local_work *work, const struct config *config,
                          struct str filter, struct buf *out) {
    size_t at = 0;
    struct str value = value_of(take_name(inside, &at), work, config);
    if (at == inside.length) {
        append_filtered(out, value, filter);
        return value.length > 0;
    }
    bool wanted = inside.data[at] == '?' ? value.length > 0 : value.length == 0;
    struct str text = str_from_offset(inside, at + 1), name;
    if (!wanted) return true;
    for (size_t i = 0; i < text.length;) {
        if (text.data[i] != '$') {
            buf_append_char(out, text.data[i++]);
            continue;
        }
        i++;
        name = take_name(text, &i);
        append_filtered(out, value_of(name, work, config), filter);
    }
    return true;
}

bool expand_template(struct str template, const struct ipc_local_work *work, const struct config *config,
                     struct str filter, struct buf *out) {
    bool defined = true;
    for (size_t at = 0; at < template.length;) {
        char c = template.data[at++];
        if (c != '$' || at == template.length) {
            buf_append_char(out, c);
        } else if (template.data[at] == '$') {
            buf_append_char(out, '$');
            at++;
        } else if (template.data[at] == '{') {
            struct str inside, after;
            if (!str_cut(str_from_offset(template, at + 1), '}', &inside, &after)) return false;
            defined &= append_braced(inside, work, config, filter, out);
            at = template.length - after.length;
        } else {
            struct str value = value_of(take_name(template, &at), work, config);
            append_filtered(out, value, filter);
            defined &= value.length > 0;
        }
    }
    return defined;
}
