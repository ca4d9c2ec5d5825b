/* LOOKUP_EXPAND: what virtual_alias_maps make of a recipient, until nothing changes.
 *
 * An address that stands for itself among others is kept and not asked again. Too
 * many addresses, too long ones or too many aliases in a row are a mistake in a
 * table: the mail waits until it is mended. canonical_maps and recipient_bcc_maps
 * have their place before and after this. */
#include "subject.h"
#include "address_list.h"
#include "hash.h"
#include "table_words.h"

struct expansion {
    struct lookup *lookup;
    struct arena *arena;
    struct str *addresses; /* internal form; in the arena */
    size_t count, room;
    struct map *final; /* addresses that stand for themselves */
};

static bool add_address(struct expansion *expansion, struct str address, struct failure *failure) {
    const struct config *config = expansion->lookup->config;
    if (address.length > (uint64_t)config->virtual_alias_address_length_limit)
        return failure_set(failure,
                           "virtual_alias_maps: an address longer than virtual_alias_address_length_limit (%lld)",
                           (long long)config->virtual_alias_address_length_limit);
    if (expansion->count >= (uint64_t)config->virtual_alias_expansion_limit)
        return failure_set(failure, "virtual_alias_maps: more addresses than virtual_alias_expansion_limit (%lld)",
                           (long long)config->virtual_alias_expansion_limit);
    if (expansion->count == expansion->room) {
        size_t room = expansion->room ? expansion->room * 2 : 4;
        struct str *grown = arena_allocate(expansion->arena, room, sizeof *grown);
        if (!grown) return failure_set(failure, "virtual_alias_maps: the expansion is too large");
        if (expansion->count) memcpy(grown, expansion->addresses, expansion->count * sizeof *grown);
        expansion->addresses = grown;
        expansion->room = room;
    }
    return arena_copy(expansion->arena, address, &expansion->addresses[expansion->count++]) ||
           failure_set(failure, "virtual_alias_maps: the expansion is too large");
}

/* ---- one value of a table */

static bool propagates(const struct config *config, struct str feature) {
    struct str rest = config->propagate_unmatched_extensions, word;
    while (str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal_nocase(word, feature)) return true;
    return false;
}

/* A member as an address: "@domain" keeps the name, a bare name gets myorigin, and an
 * extension that was not part of the key goes on. */
static bool complete_member(const struct expansion *expansion, const struct subject *subject,
                            const struct subject_found *found, const struct address_list_item *item,
                            struct mail_address *address) {
    struct buf local = {0};
    struct str domain = item->domain.length ? item->domain : expansion->lookup->config->myorigin;
    buf_append(&local, item->local.length ? item->local : subject->local);
    if (item->local.length > 0 && found->extension_unmatched && propagates(expansion->lookup->config, STR("virtual")))
        buf_append(&local, str_from_offset(subject->local, subject->base.length));
    bool good = mail_address_from_parts(buf_str(&local), domain, SUBJECT_ADDRESS_FLAGS, address) == MAIL_ADDRESS_OK;
    buf_free(&local);
    return good;
}

/* "@domain" is no address that the list reader takes. */
static bool read_bare_domain(struct str member, struct address_list_item *item) {
    member = str_trim(member);
    if (member.length < 2 || member.data[0] != '@') return false;
    *item = (struct address_list_item){.local = STR_EMPTY, .domain = str_from_offset(member, 1)};
    return str_find(item->domain, '@') == STR_NONE;
}

struct value_reader {
    struct expansion *expansion;
    const struct subject *subject;
    const struct subject_found *found;
    struct str alias; /* the address that is replaced, in internal form */
    size_t place;     /* its index: the first member takes it */
    size_t members;
};

static bool take_member(struct value_reader *reader, const struct address_list_item *item, struct failure *failure) {
    struct expansion *expansion = reader->expansion;
    struct mail_address address;
    if (!complete_member(expansion, reader->subject, reader->found, item, &address))
        return failure_set(failure, "virtual_alias_maps: the entry for %.*s has \"%.*s\", which is no address",
                           STR_ARGS(reader->alias), STR_ARGS(item->source));
    struct str text = mail_address_text(&address);
    /* An address may stand for itself once. */
    if (str_equal_nocase(text, reader->alias)) map_put(expansion->final, text, expansion);
    if (reader->members++ > 0) return add_address(expansion, text, failure);
    size_t count = expansion->count;
    expansion->count = reader->place; /* the first one replaces the alias: same checks, same place */
    bool good = add_address(expansion, text, failure);
    expansion->count = count;
    return good;
}

static bool take_value(struct value_reader *reader, struct str value, struct failure *failure) {
    struct address_list list;
    struct address_list_item item;
    bool good = true;
    address_list_begin(&list, value, 0);
    while (good) {
        enum address_list_result result = address_list_next(&list, &item);
        if (result == ADDRESS_LIST_END) break;
        if (result == ADDRESS_LIST_TOO_MANY) {
            good = failure_set(failure, "virtual_alias_maps: the entry for %.*s has too many addresses",
                               STR_ARGS(reader->alias));
        } else {
            if (result == ADDRESS_LIST_INVALID && !read_bare_domain(item.source, &item))
                item.local = item.domain = STR_EMPTY;
            if (item.local.length == 0 && item.domain.length == 0)
                good = failure_set(failure, "virtual_alias_maps: the entry for %.*s has a member that is no address",
                                   STR_ARGS(reader->alias));
            else
                good = take_member(reader, &item, failure);
        }
    }
    address_list_free(&list);
    return good && (reader->members > 0 ||
                    failure_set(failure, "virtual_alias_maps: the entry for %.*s is empty", STR_ARGS(reader->alias)));
}

/* ---- the whole */

/* Replaces the address at a place by what its entry says. TABLE_ABSENT: it stays. */
static enum table_result expand_once(struct expansion *expansion, size_t place, struct failure *failure) {
    struct lookup *lookup = expansion->lookup;
    struct str alias = expansion->addresses[place];
    struct subject subject;
    struct subject_found found;
    bool retry;
    if (map_get(expansion->final, alias)) return TABLE_ABSENT;
    if (!subject_make(lookup, alias, &subject, &retry, failure)) return retry ? TABLE_RETRY : TABLE_ABSENT;
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    enum table_result result =
        subject_find(lookup, lookup->virtual_alias_maps, &subject, KEY_ALL, &value, &found, failure);
    if (result == TABLE_FOUND) {
        struct value_reader reader = {.expansion = expansion,
                                      .subject = &subject,
                                      .found = &found,
                                      .place = place,
                                      .alias = mail_address_text(&subject.address)};
        if (!take_value(&reader, buf_str(&value), failure)) result = TABLE_RETRY;
    }
    buf_free(&value);
    return result;
}

static bool expand_all(struct expansion *expansion, struct failure *failure) {
    const struct config *config = expansion->lookup->config;
    for (size_t place = 0; place < expansion->count; place++) {
        enum table_result result = TABLE_FOUND;
        for (int64_t step = 0; result == TABLE_FOUND; step++) {
            if (step > config->virtual_alias_recursion_limit)
                return failure_set(
                    failure, "virtual_alias_maps: more aliases in a row than virtual_alias_recursion_limit (%lld)",
                    (long long)config->virtual_alias_recursion_limit);
            result = expand_once(expansion, place, failure);
        }
        if (result == TABLE_RETRY) return false;
    }
    return true;
}

static bool make_answer(const struct expansion *expansion, struct ipc_lookup_expanded *answer,
                        struct failure *failure) {
    struct buf rows = buf_make(60000);
    struct ipc_list list = {.packed = STR_EMPTY, .count = 0};
    bool good = true;
    for (size_t i = 0; good && i < expansion->count; i++) {
        struct ipc_address_row row = {.kind = EXPANSION_ADDRESS, .value = expansion->addresses[i]};
        good = ipc_list_add(IPC_ROW_ADDRESS, &row, &rows, &list.count);
    }
    good = good && arena_copy(expansion->arena, buf_str(&rows), &list.packed);
    buf_free(&rows);
    if (!good) return failure_set(failure, "virtual_alias_maps: the expansion is too large");
    answer->addresses = list;
    return true;
}

bool lookup_expand(struct lookup *lookup, struct str address, struct arena *arena, struct ipc_lookup_expanded *answer,
                   struct failure *failure) {
    struct expansion expansion = {.lookup = lookup, .arena = arena, .final = map_create()};
    bool good = add_address(&expansion, address, failure) && expand_all(&expansion, failure) &&
                make_answer(&expansion, answer, failure);
    map_destroy(&expansion.final);
    return good;
}
