/* XCLIENT: a proxy or filter that we trust says for whom it speaks. What it names
 * takes the connection's place in policy, limits and logs; the dialogue begins anew. */
#include "domain.h"
#include "ip_prefix.h"
#include "smtpd.h"

struct claim {
    struct client client;
    struct str helo;
    bool has_helo, extended, has_protocol;
};

/* An address as Postfix writes it, "IPV6:" before the longer ones. */
static bool take_address(struct claim *claim, const struct smtp_attribute *attribute) {
    struct ip_prefix address;
    struct str text = attribute->value;
    if (attribute->unavailable) {
        claim->client.address = STR("unknown");
        return true;
    }
    if (str_starts_nocase(text, STR("IPV6:"))) text = str_from_offset(text, 5);
    claim->client.address = text;
    return ip_address_parse(text, &address) && text.data[0] != '[';
}

static bool take_name(const struct smtp_attribute *attribute, struct str *name, enum name_status *status) {
    *status = attribute->temporary ? NAME_UNDECIDED : attribute->unavailable ? NAME_UNKNOWN : NAME_VERIFIED;
    *name = attribute->unavailable ? STR("unknown") : attribute->value;
    return attribute->unavailable || domain_is_valid(*name, DOMAIN_UNDERSCORE);
}

static bool take_port(const struct smtp_attribute *attribute, uint16_t *port) {
    uint64_t number = 0;
    if (!attribute->unavailable && !str_to_u64(attribute->value, 65535, &number)) return false;
    *port = (uint16_t)number;
    return true;
}

static bool take_protocol(struct claim *claim, struct str value) {
    claim->has_protocol = true;
    claim->extended = str_equal_nocase(value, STR("ESMTP"));
    return claim->extended || str_equal_nocase(value, STR("SMTP"));
}

/* One attribute; false if its value is bad. */
static bool take(struct claim *claim, const struct smtp_attribute *attribute, bool *known) {
    struct str name = attribute->name;
    uint16_t ignored;
    *known = true;
    if (str_equal_nocase(name, STR("NAME")))
        return take_name(attribute, &claim->client.name, &claim->client.name_status);
    if (str_equal_nocase(name, STR("REVERSE_NAME")))
        return take_name(attribute, &claim->client.reverse_name, &claim->client.reverse_status);
    if (str_equal_nocase(name, STR("ADDR"))) return take_address(claim, attribute);
    if (str_equal_nocase(name, STR("PORT"))) return take_port(attribute, &claim->client.port);
    if (str_equal_nocase(name, STR("DESTPORT"))) return take_port(attribute, &ignored);
    if (str_equal_nocase(name, STR("DESTADDR"))) return true;
    if (str_equal_nocase(name, STR("PROTO"))) return take_protocol(claim, attribute->value);
    if (str_equal_nocase(name, STR("LOGIN"))) {
        claim->client.login = attribute->value;
        claim->client.login_method = attribute->value.length ? STR("XCLIENT") : STR_EMPTY;
        return attribute->value.length <= 250;
    }
    if (str_equal_nocase(name, STR("HELO"))) {
        claim->helo = attribute->unavailable ? STR_EMPTY : attribute->value;
        claim->has_helo = true;
        return claim->helo.length <= 250;
    }
    *known = false;
    return false;
}

static bool take_all(struct session *session, struct str argument, struct buf *values, struct claim *claim) {
    struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX];
    struct smtp_command_error error;
    size_t count = 0;
    bool known = true;
    if (!smtp_parse_attributes(argument, values, attributes, &count, &error))
        return reply_command_error(session, &error);
    for (size_t i = 0; i < count; i++) {
        if (take(claim, &attributes[i], &known)) continue;
        return reply(session, 501, "5.5.4", "%s: %.*s", known ? "Bad attribute value" : "Unknown attribute",
                     STR_ARGS(attributes[i].name));
    }
    return true;
}

static bool apply(struct session *session, const struct claim *claim) {
    session_reset(session);
    session->claimed = true;
    buf_clear(&session->mechanisms); /* another client, who has to ask by EHLO */
    if (claim->has_helo) {
        buf_clear(&session->helo);
        buf_append(&session->helo, claim->helo);
    }
    if (claim->has_protocol) session->extended = claim->extended;
    session->greeting = claim->has_helo && claim->helo.length ? SESSION_GREETED : SESSION_NEW;
    if (!session_set_client(session, &claim->client)) return false;
    session_greet(session);
    return !session->denied;
}

bool cmd_xclient(struct session *session, struct str argument) {
    if (!session->xclient_allowed) return reply(session, 550, "5.7.0", "Error: insufficient authorization");
    if (argument.length == 0) return reply(session, 501, "5.5.4", "Syntax: XCLIENT attribute=value...");
    struct claim claim = {.client = session->client, .helo = STR_EMPTY};
    struct buf values = buf_make(0);
    bool good = take_all(session, argument, &values, &claim) && apply(session, &claim);
    buf_free(&values);
    return good;
}
