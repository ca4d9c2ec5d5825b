/* XFORWARD: a filter that we trust says where the message came from. It changes logs
 * and what the next hop is told, never policy; it is forgotten with the message. */
#include "log_text.h"
#include "smtpd.h"

static struct str *slot(struct forwarded *forwarded, struct str name) {
    const struct {
        struct str name;
        struct str *slot;
    } slots[] = {
        {STR("NAME"), &forwarded->name},     {STR("ADDR"), &forwarded->address},   {STR("PORT"), &forwarded->port},
        {STR("HELO"), &forwarded->helo},     {STR("PROTO"), &forwarded->protocol}, {STR("IDENT"), &forwarded->identity},
        {STR("SOURCE"), &forwarded->source},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(slots); i++)
        if (str_equal_nocase(slots[i].name, name)) return slots[i].slot;
    return NULL;
}

static struct forwarded *forwarded_of(struct session *session) {
    if (session->forwarded) return session->forwarded;
    struct forwarded *forwarded = MEMORY_NEW(struct forwarded);
    forwarded->arena = arena_create(65536);
    struct str *const all[] = {&forwarded->name,     &forwarded->address,  &forwarded->port,  &forwarded->helo,
                               &forwarded->protocol, &forwarded->identity, &forwarded->source};
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++)
        *all[i] = STR_EMPTY;
    session->forwarded = forwarded;
    return forwarded;
}

static bool keep(struct session *session, const struct smtp_attribute *attribute) {
    struct forwarded *forwarded = forwarded_of(session);
    struct str *where = slot(forwarded, attribute->name);
    struct buf safe = buf_make(0);
    log_text_append(&safe, attribute->unavailable ? STR("unknown") : attribute->value, 0);
    struct str value = buf_str(&safe);
    if (str_starts_nocase(value, STR("IPV6:"))) value = str_from_offset(value, 5);
    bool good = where && arena_copy(forwarded->arena, value, where);
    buf_free(&safe);
    return good;
}

bool cmd_xforward(struct session *session, struct str argument) {
    if (!session->xforward_allowed) return reply(session, 550, "5.7.0", "Error: insufficient authorization");
    if (argument.length == 0) return reply(session, 501, "5.5.4", "Syntax: XFORWARD attribute=value...");
    struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX];
    struct smtp_command_error error;
    struct buf values = buf_make(0);
    size_t count = 0;
    if (!smtp_parse_attributes(argument, &values, attributes, &count, &error)) {
        buf_free(&values);
        return reply_command_error(session, &error);
    }
    bool good = true;
    for (size_t i = 0; good && i < count; i++)
        good = keep(session, &attributes[i]) ||
               reply(session, 501, "5.5.4", "Bad attribute: %.*s", STR_ARGS(attributes[i].name));
    buf_free(&values);
    return good && reply(session, 250, "2.0.0", "Ok");
}
