/* Parts of an address and the order of questions: see subject.h. Postfix's order
 * (canonical(5), virtual(5)): user+ext@domain, user@domain, user+ext, user, @domain. */
#include "subject.h"

static bool is_own_domain(struct lookup *lookup, struct str domain, bool *own, struct failure *failure) {
    enum address_class class;
    *own = str_equal_nocase(domain, lookup->config->myorigin);
    if (*own) return true;
    if (domain.data[0] != '[') {
        enum match_result result = list_match(lookup->mydestination, domain, STR_EMPTY, failure);
        *own = result == MATCH_YES;
        return result != MATCH_RETRY;
    }
    if (!lookup_classify(lookup, domain, &class, failure)) return false;
    *own = class == CLASS_LOCAL;
    return true;
}

bool subject_from_address(struct lookup *lookup, const struct mail_address *address, struct subject *subject,
                          struct failure *failure) {
    const struct config *config = lookup->config;
    subject->address = *address;
    subject->had_domain = address->domain_length > 0;
    if (!subject->had_domain && mail_address_from_parts(mail_address_local(address), config->myorigin,
                                                        SUBJECT_ADDRESS_FLAGS, &subject->address) != MAIL_ADDRESS_OK)
        return failure_set(failure, "myorigin is no domain that can be added to an address");
    subject->local = mail_address_local(&subject->address);
    subject->domain = mail_address_domain(&subject->address);
    subject->base = subject->local;
    subject->extension = STR_EMPTY;
    subject->has_extension =
        config->recipient_delimiter.length > 0 &&
        mail_address_split_extension(subject->local, config->recipient_delimiter, config->owner_request_special,
                                     &subject->base, &subject->extension);
    return is_own_domain(lookup, subject->domain, &subject->asks_bare_names, failure);
}

bool subject_make(struct lookup *lookup, struct str text, struct subject *subject, bool *retry,
                  struct failure *failure) {
    struct mail_address address;
    *retry = false;
    enum mail_address_result result = mail_address_from_internal(text, SUBJECT_ADDRESS_FLAGS, &address);
    if (result != MAIL_ADDRESS_OK || address.local_length == 0) {
        failure_set(failure, "%s", result == MAIL_ADDRESS_OK ? "bad address syntax" : mail_address_result_text(result));
        return false;
    }
    *retry = !subject_from_address(lookup, &address, subject, failure);
    return !*retry;
}

/* Keys are in external form (quoted where it must be), as table files hold them. */
static bool make_key(const struct subject *subject, enum subject_key key, struct buf *text) {
    struct mail_address base;
    struct str domain = subject->domain;
    switch (key) {
    case KEY_ADDRESS:
        return mail_address_append_key(text, &subject->address, MAIL_FOLD_EXTERNAL);
    case KEY_ADDRESS_BASE:
        return mail_address_from_parts(subject->base, domain, SUBJECT_ADDRESS_FLAGS, &base) == MAIL_ADDRESS_OK &&
               mail_address_append_key(text, &base, MAIL_FOLD_EXTERNAL);
    case KEY_NAME:
        return mail_address_append_local(text, subject->local);
    case KEY_NAME_BASE:
        return mail_address_append_local(text, subject->base);
    case KEY_DOMAIN:
        /* The tables fold fixed keys themselves. */
        return buf_append_char(text, '@') && buf_append(text, domain);
    case KEY_ALL:
    case KEY_ADDRESSES:
        break;
    }
    return false;
}

enum table_result subject_find(struct lookup *lookup, struct table_maps *maps, const struct subject *subject,
                               unsigned keys, struct buf *value, struct subject_found *found, struct failure *failure) {
    static const enum subject_key order[] = {KEY_ADDRESS, KEY_ADDRESS_BASE, KEY_NAME, KEY_NAME_BASE, KEY_DOMAIN};
    struct buf key = {0};
    enum table_result result = TABLE_ABSENT;
    if (!maps_are_set(maps)) return TABLE_ABSENT;
    if (!subject->has_extension) keys &= ~(unsigned)(KEY_ADDRESS_BASE | KEY_NAME_BASE);
    if (!subject->asks_bare_names) keys &= ~(unsigned)(KEY_NAME | KEY_NAME_BASE);
    for (size_t i = 0; i < ARRAY_LENGTH(order) && result == TABLE_ABSENT; i++) {
        struct source *source = NULL;
        buf_clear(&key);
        if (!(keys & order[i]) || !make_key(subject, order[i], &key)) continue;
        result = maps_lookup(lookup->tables, maps, buf_str(&key), order[i] != KEY_ADDRESS, value, &source, failure);
        if (result != TABLE_FOUND || !found) continue;
        *found = (struct subject_found){.key = order[i], .source = source};
        found->extension_unmatched =
            subject->has_extension && (order[i] == KEY_ADDRESS_BASE || order[i] == KEY_NAME_BASE);
    }
    buf_free(&key);
    return result;
}

enum table_result subject_is_in(struct lookup *lookup, struct table_maps *maps, const struct subject *subject,
                                unsigned keys, struct failure *failure) {
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    enum table_result result = subject_find(lookup, maps, subject, keys, &value, NULL, failure);
    buf_free(&value);
    return result;
}
