/* LOOKUP_RESOLVE: what an address is to this server: its class (classify.c), where
 * it goes (route.c), and whether it is there at all as far as tables can tell. Whatever
 * virtual aliases or canonical maps turn into something else is there. */
#include "subject.h"

#define ROUTES_MAX 10 /* user%there@here within each other */

/* ---- addresses with a route in them */

/* user@there, user%there or there!user within a local part. */
static bool routed_address(const struct config *config, struct str local, struct mail_address *routed) {
    size_t at = config->resolve_dequoted_address ? str_find_last(local, '@') : STR_NONE;
    struct str before, after;
    if (at == STR_NONE && config->swap_bangpath && str_cut(local, '!', &before, &after))
        return mail_address_from_parts(after, before, SUBJECT_ADDRESS_FLAGS, routed) == MAIL_ADDRESS_OK;
    if (at == STR_NONE && config->allow_percent_hack) at = str_find_last(local, '%');
    if (at == STR_NONE || at == 0 || at + 1 == local.length) return false;
    return mail_address_from_parts(str_slice(local, 0, at), str_from_offset(local, at + 1), SUBJECT_ADDRESS_FLAGS,
                                   routed) == MAIL_ADDRESS_OK;
}

/* Follows routes through this machine. The class is that of the address in the end, so
 * nobody reaches more by a route than by writing it plainly. */
static bool follow_routes(struct lookup *lookup, struct subject *subject, enum address_class *class,
                          struct failure *failure) {
    for (unsigned step = 0;; step++) {
        struct mail_address routed;
        if (!lookup_classify(lookup, subject->domain, class, failure)) return false;
        if (*class != CLASS_LOCAL || step == ROUTES_MAX || !routed_address(lookup->config, subject->local, &routed))
            return true;
        if (!subject_from_address(lookup, &routed, subject, failure)) return false;
    }
}

/* ---- is it there */

/* True if any of the tables that come before delivery knows the address. */
static enum table_result is_rewritten(struct lookup *lookup, const struct subject *subject, struct failure *failure) {
    struct table_maps *const maps[] = {lookup->recipient_canonical_maps, lookup->canonical_maps,
                                       lookup->virtual_alias_maps};
    enum table_result result = TABLE_ABSENT;
    for (size_t i = 0; i < ARRAY_LENGTH(maps) && result == TABLE_ABSENT; i++)
        result = subject_is_in(lookup, maps[i], subject, KEY_ALL, failure);
    return result;
}

struct recipient_tables {
    struct table_maps *maps;
    struct str name; /* in the refusal */
};

static struct recipient_tables tables_of_class(const struct lookup *lookup, enum address_class class) {
    switch (class) {
    case CLASS_LOCAL:
        return (struct recipient_tables){lookup->local_recipient_maps, STR("local recipient table")};
    case CLASS_VIRTUAL_ALIAS:
        return (struct recipient_tables){NULL, STR("virtual alias table")};
    case CLASS_VIRTUAL_MAILBOX:
        return (struct recipient_tables){lookup->virtual_mailbox_maps, STR("virtual mailbox table")};
    case CLASS_RELAY:
        return (struct recipient_tables){lookup->relay_recipient_maps, STR("relay recipient table")};
    case CLASS_DEFAULT:
        break;
    }
    return (struct recipient_tables){NULL, STR_EMPTY};
}

/* Mail that always has to arrive. */
static bool is_always_there(const struct config *config, const struct subject *subject, enum address_class class) {
    if (!subject->had_domain && str_equal_nocase(subject->local, STR("postmaster"))) return true;
    return class == CLASS_LOCAL && str_equal_nocase(subject->local, config->double_bounce_sender);
}

static bool check_account(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                          struct ipc_lookup_resolved *answer, struct failure *failure) {
    struct ipc_lookup_local_found found = {.kind = LOCAL_UNKNOWN};
    if (!lookup_account(lookup, subject, arena, &found, failure)) return false;
    answer->account = found.kind == LOCAL_ACCOUNT;
    answer->quota = answer->account && (found.quota_storage || found.quota_messages);
    return true;
}

static bool check_known(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                        struct ipc_lookup_resolved *answer, struct failure *failure) {
    enum address_class class = (enum address_class)answer->address_class;
    struct recipient_tables tables = tables_of_class(lookup, class);
    answer->known = true;
    if (class == CLASS_DEFAULT || is_always_there(lookup->config, subject, class)) return true;
    bool has_accounts = false;
    if ((class == CLASS_LOCAL || class == CLASS_VIRTUAL_MAILBOX) &&
        !lookup_has_accounts(lookup, subject->domain, &has_accounts, failure))
        return false;
    if (class != CLASS_VIRTUAL_ALIAS && !has_accounts && !maps_are_set(tables.maps)) return true;
    enum table_result result = is_rewritten(lookup, subject, failure);
    /* Known, to be told where to. */
    if (result == TABLE_ABSENT) result = subject_is_in(lookup, lookup->relocated_maps, subject, KEY_ALL, failure);
    if (result == TABLE_ABSENT && has_accounts && !check_account(lookup, subject, arena, answer, failure)) return false;
    if (answer->account || (class == CLASS_LOCAL && !maps_are_set(tables.maps))) return result != TABLE_RETRY;
    if (result == TABLE_ABSENT && tables.maps) result = subject_is_in(lookup, tables.maps, subject, KEY_ALL, failure);
    if (result != TABLE_ABSENT) return result == TABLE_FOUND;
    struct buf text = {0};
    buf_append(&text, STR("User unknown"));
    if (lookup->config->show_user_unknown_table_name) {
        buf_append(&text, STR(" in "));
        buf_append(&text, tables.name);
    }
    answer->known = false;
    bool good = arena_copy(arena, buf_str(&text), &answer->reject_text);
    buf_free(&text);
    return good || failure_set(failure, "the answer is too long");
}

/* ---- the answer */

/* What goes to error or retry can be refused at once, instead of being returned later; not an address that aliases turn
 * into another one. */
static bool check_refused(struct lookup *lookup, const struct subject *subject, struct ipc_lookup_resolved *answer,
                          struct failure *failure) {
    if (answer->address_class == CLASS_VIRTUAL_ALIAS || !answer->known) return true;
    if (!str_equal(answer->transport, STR("error")) && !str_equal(answer->transport, STR("retry"))) return true;
    enum table_result result = is_rewritten(lookup, subject, failure);
    answer->refused = result == TABLE_ABSENT;
    return result != TABLE_RETRY;
}

static bool answer_syntax(struct lookup *lookup, struct str address, struct ipc_lookup_resolved *answer) {
    *answer = (struct ipc_lookup_resolved){.address_class = CLASS_DEFAULT,
                                           .transport = lookup->config->error_transport,
                                           .nexthop = STR("5.1.3 Bad recipient address syntax"),
                                           .recipient = address,
                                           .reject_text = STR("Bad recipient address syntax")};
    return true;
}

bool lookup_resolve(struct lookup *lookup, struct str address, struct str sender, struct arena *arena,
                    struct ipc_lookup_resolved *answer, struct failure *failure) {
    struct subject subject;
    enum address_class class;
    bool retry;
    if (address.length == 0) address = lookup->config->empty_address_recipient;
    if (!subject_make(lookup, address, &subject, &retry, failure))
        return !retry && answer_syntax(lookup, address, answer);
    if (!follow_routes(lookup, &subject, &class, failure)) return false;
    if (subject.local.data[0] == '-' && !lookup->config->allow_min_user) return answer_syntax(lookup, address, answer);
    struct ipc_lookup_resolved result = {.address_class = class,
                                         .transport = STR_EMPTY,
                                         .nexthop = STR_EMPTY,
                                         .recipient = STR_EMPTY,
                                         .reject_text = STR_EMPTY};
    if (!arena_copy(arena, mail_address_text(&subject.address), &result.recipient))
        return failure_set(failure, "the address is too long");
    if (!check_known(lookup, &subject, arena, &result, failure)) return false;
    if (!lookup_route(lookup, &subject, sender, arena, &result, failure)) return false;
    if (!check_refused(lookup, &subject, &result, failure)) return false;
    *answer = result;
    return true;
}
