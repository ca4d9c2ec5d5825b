/* LOOKUP_LOCAL: how a recipient of this machine gets its mail: an alias with its
 * members and the rights that commands and files in it have, an account of the
 * system, or a virtual mailbox (mailbox.c). */
#include "subject.h"
#include "alias_members.h"
#include "expansion.h"

#define ALIAS_ROWS_MAX ((size_t)60000) /* bytes, as the message has it */
#define MEMBER_MOST    ((size_t)1000)  /* the same */

struct alias_search {
    struct lookup *lookup;
    const struct subject *subject;
    struct arena *arena;
    struct ipc_lookup_local_found *answer;
    struct buf value;
    struct source *source;
    bool extension_unmatched;
};

/* ---- the alias tables */

static bool fold(struct str text, struct arena *arena, struct str *folded) {
    char *bytes = arena_allocate(arena, text.length + 1, 1);
    if (!bytes) return false;
    for (size_t i = 0; i < text.length; i++)
        bytes[i] = ascii_lower(text.data[i]);
    *folded = str_make(bytes, text.length);
    return true;
}

/* Names in alias tables have no domain and no quotes. */
static enum table_result find_alias(struct alias_search *search, struct failure *failure) {
    struct lookup *lookup = search->lookup;
    const struct str names[] = {search->subject->local, search->subject->base};
    enum table_result result = TABLE_ABSENT;
    for (size_t i = 0; i < ARRAY_LENGTH(names) && result == TABLE_ABSENT; i++) {
        struct str name;
        if (i > 0 && !search->subject->has_extension) break;
        if (!fold(names[i], search->arena, &name)) return TABLE_RETRY;
        result = maps_lookup(lookup->tables, lookup->alias_maps, name, false, &search->value, &search->source, failure);
        search->extension_unmatched = i > 0;
    }
    return result;
}

/* owner-NAME, if there is such an alias, is who hears of failures; the owners' own is owner-owner. */
static bool find_owner(struct alias_search *search, struct failure *failure) {
    struct lookup *lookup = search->lookup;
    const struct subject *subject = search->subject;
    struct str base = search->extension_unmatched ? subject->base : subject->local;
    struct buf name = {0}, value = buf_make(LOOKUP_VALUE_MAX);
    bool is_owner = str_starts_nocase(base, STR("owner-"));
    buf_append(&name, STR("owner-"));
    buf_append(&name, is_owner ? STR("owner") : base);
    enum table_result result =
        maps_lookup(lookup->tables, lookup->alias_maps, buf_str(&name), false, &value, NULL, failure);
    bool good = result != TABLE_RETRY;
    if (result == TABLE_FOUND) {
        buf_append_char(&name, '@');
        buf_append(&name, subject->domain);
        good = (name.length <= 512 && arena_copy(search->arena, buf_str(&name), &search->answer->owner)) ||
               failure_set(failure, "the owner's address is too long");
    }
    buf_free(&name);
    buf_free(&value);
    return good;
}

/* Under whose rights: the owner of the table's file, or default_privs where that is root. */
static bool find_rights(struct alias_search *search, struct failure *failure) {
    struct lookup *lookup = search->lookup;
    const struct source *source = search->source;
    struct account account;
    char number[24];
    struct str name = lookup->config->default_privs;
    if (!source || !source->owner_known)
        return failure_set(failure, "alias_maps: cannot find out who owns %s", source ? source->name : "the table");
    if (source->owner_uid != 0) {
        snprintf(number, sizeof number, "#%u", source->owner_uid);
        name = str_from(number);
    }
    enum account_result result = accounts_find(lookup->accounts, name, search->arena, &account, failure);
    if (result == ACCOUNT_ABSENT)
        return failure_set(failure, "alias_maps: the account %.*s, whose rights %s has, does not exist", STR_ARGS(name),
                           source->name);
    if (result == ACCOUNT_RETRY) return false;
    if (account.uid == 0) return failure_set(failure, "default_privs is root: refused");
    search->answer->user = account.name;
    search->answer->uid = account.uid;
    search->answer->gid = account.gid;
    search->answer->home = account.home;
    return true;
}

/* ---- members */

static bool wants_extension(const struct alias_search *search) {
    struct str rest = search->lookup->config->propagate_unmatched_extensions, word;
    while (search->extension_unmatched && str_next_word(&rest, ", \t\r\n", &word))
        if (str_equal_nocase(word, STR("alias"))) return true;
    return false;
}

/* user@domain with the extension of the recipient. What cannot be taken apart stays as it is. */
static struct str with_extension(const struct alias_search *search, struct str member) {
    struct mail_address address, extended;
    struct buf local = {0}, text = {0};
    const struct subject *subject = search->subject;
    if (mail_address_parse(member, SUBJECT_ADDRESS_FLAGS, &address) != MAIL_ADDRESS_OK) return member;
    buf_append(&local, mail_address_local(&address));
    buf_append(&local, str_from_offset(subject->local, subject->base.length));
    if (mail_address_from_parts(buf_str(&local), mail_address_domain(&address), SUBJECT_ADDRESS_FLAGS, &extended) ==
            MAIL_ADDRESS_OK &&
        mail_address_append_external(&text, &extended))
        (void)!arena_copy(search->arena, buf_str(&text), &member);
    buf_free(&local);
    buf_free(&text);
    return member;
}

static bool list_members(struct alias_search *search, struct failure *failure) {
    struct alias_members members;
    struct buf rows = buf_make(ALIAS_ROWS_MAX);
    struct ipc_list list = {.packed = STR_EMPTY, .count = 0};
    struct str name = search->subject->local;
    bool extend = wants_extension(search);
    if (!alias_members_parse(buf_str(&search->value), ALIAS_MEMBERS_MAX, search->arena, &members, failure))
        return failure_prefix(failure, "alias_maps: %s: %.*s", search->source->name, STR_ARGS(name));
    bool good = true;
    for (size_t i = 0; good && i < members.count; i++) {
        struct ipc_address_row row = {.kind = expansion_kind_of(members.items[i].kind),
                                      .value = members.items[i].value};
        if (extend && members.items[i].kind == ALIAS_ADDRESS) row.value = with_extension(search, row.value);
        if (row.value.length > MEMBER_MOST) {
            buf_free(&rows);
            return failure_set(failure, "alias_maps: %s: %.*s has a member longer than %zu octets",
                               search->source->name, STR_ARGS(name), MEMBER_MOST);
        }
        good = ipc_list_add(IPC_ROW_ADDRESS, &row, &rows, &list.count);
    }
    good = good && arena_copy(search->arena, buf_str(&rows), &list.packed);
    buf_free(&rows);
    search->answer->members = list;
    return good || failure_set(failure, "alias_maps: %s: %.*s has too many members: put them into an :include: file",
                               search->source->name, STR_ARGS(name));
}

static bool answer_alias(struct alias_search *search, struct failure *failure) {
    search->answer->kind = LOCAL_ALIAS;
    search->answer->extension = search->extension_unmatched ? search->subject->extension : STR_EMPTY;
    return list_members(search, failure) && find_owner(search, failure) && find_rights(search, failure);
}

/* ---- accounts */

static bool answer_account(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                           struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct str name;
    struct account account;
    if (!fold(subject->base, arena, &name)) return failure_set(failure, "the name is too long");
    /* '#' is how accounts.h is asked for numbers; no account is called so. */
    if (name.data[0] == '#') return true;
    switch (accounts_find(lookup->accounts, name, arena, &account, failure)) {
    case ACCOUNT_FOUND:
        break;
    case ACCOUNT_ABSENT:
        return true;
    case ACCOUNT_RETRY:
        return false;
    }
    answer->kind = LOCAL_USER;
    answer->user = account.name;
    answer->uid = account.uid;
    answer->gid = account.gid;
    answer->home = account.home;
    answer->extension = subject->extension;
    return true;
}

/* ---- the answer */

static bool find_local(struct lookup *lookup, const struct subject *subject, bool no_alias, struct arena *arena,
                       struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct alias_search search = {
        .lookup = lookup, .subject = subject, .arena = arena, .answer = answer, .value = buf_make(LOOKUP_VALUE_MAX)};
    enum table_result result = no_alias ? TABLE_ABSENT : find_alias(&search, failure);
    bool good = result == TABLE_FOUND    ? answer_alias(&search, failure)
                : result == TABLE_ABSENT ? lookup_account(lookup, subject, arena, answer, failure)
                                         : false;
    if (good && result == TABLE_ABSENT && answer->kind == LOCAL_UNKNOWN)
        good = answer_account(lookup, subject, arena, answer, failure);
    buf_free(&search.value);
    return good;
}

/* By the domain's class: virtual mailboxes for virtual_mailbox_domains, and where
 * transport_maps brought an address of another domain here, if it has one. */
static bool find_any(struct lookup *lookup, const struct subject *subject, bool no_alias, struct arena *arena,
                     struct ipc_lookup_local_found *answer, struct failure *failure) {
    enum address_class class;
    if (!lookup_classify(lookup, subject->domain, &class, failure)) return false;
    if (class != CLASS_LOCAL && !lookup_account(lookup, subject, arena, answer, failure)) return false;
    if (class != CLASS_LOCAL && answer->kind == LOCAL_UNKNOWN && maps_are_set(lookup->virtual_mailbox_maps) &&
        !lookup_mailbox(lookup, subject, arena, answer, failure))
        return false;
    if (class == CLASS_VIRTUAL_MAILBOX || answer->kind != LOCAL_UNKNOWN) return true;
    return find_local(lookup, subject, no_alias, arena, answer, failure);
}

bool lookup_local(struct lookup *lookup, struct str address, bool no_alias, struct arena *arena,
                  struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct subject subject;
    bool retry;
    struct ipc_lookup_local_found result = {.kind = LOCAL_UNKNOWN,
                                            .user = STR_EMPTY,
                                            .home = STR_EMPTY,
                                            .mailbox = STR_EMPTY,
                                            .extension = STR_EMPTY,
                                            .owner = STR_EMPTY,
                                            .members = {STR_EMPTY, 0}};
    if (!subject_make(lookup, address, &subject, &retry, failure)) {
        if (!retry) *answer = result; /* no address, no mailbox */
        return !retry;
    }
    if (!find_any(lookup, &subject, no_alias, arena, &result, failure)) return false;
    /* The subject's texts do not outlive this call. */
    if (!arena_copy(arena, result.extension, &result.extension)) return failure_set(failure, "the address is too long");
    *answer = result;
    return true;
}
