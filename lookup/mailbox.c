/* Virtual mailboxes: virtual_mailbox_maps beneath virtual_mailbox_base, and the
 * numbers that own them. */
#include "subject.h"

/* No entry may lead out of virtual_mailbox_base. */
static bool is_beneath(struct str path) {
    struct str word;
    if (path.length == 0 || !str_is_utf8(path)) return false;
    for (size_t i = 0; i < path.length; i++)
        if ((unsigned char)path.data[i] < ' ' || path.data[i] == 0x7f) return false;
    size_t parts = 0;
    while (str_next_word(&path, "/", &word)) {
        parts++;
        if (str_equal(word, STR(".."))) return false;
    }
    return parts > 0;
}

static bool make_path(struct lookup *lookup, struct str value, struct arena *arena, struct str *path,
                      struct failure *failure) {
    struct str base = lookup->config->virtual_mailbox_base;
    struct buf text = buf_make(1000);
    if (base.length == 0) return failure_set(failure, "virtual_mailbox_base is not set");
    if (!is_beneath(value))
        return failure_set(failure, "virtual_mailbox_maps: \"%.*s\" is no path beneath virtual_mailbox_base",
                           STR_ARGS(value));
    while (base.length > 0 && base.data[base.length - 1] == '/')
        base.length--;
    while (value.data[0] == '/')
        value = str_from_offset(value, 1);
    buf_append(&text, base);
    buf_append_char(&text, '/');
    buf_append(&text, value);
    bool good = !buf_overflowed(&text) && arena_copy(arena, buf_str(&text), path);
    buf_free(&text);
    return good || failure_set(failure, "virtual_mailbox_maps: the path \"%.*s\" is too long", STR_ARGS(value));
}

static bool find_number(struct lookup *lookup, const struct subject *subject, struct table_maps *maps, uint64_t minimum,
                        uint64_t *number, struct failure *failure) {
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    uint64_t found = 0;
    enum table_result result = subject_find(lookup, maps, subject, KEY_ADDRESSES | KEY_DOMAIN, &value, NULL, failure);
    struct str text = str_trim(buf_str(&value));
    bool good = false;
    if (result == TABLE_ABSENT)
        failure_set(failure, "%s: no entry for %.*s", maps->parameter, STR_ARGS(mail_address_text(&subject->address)));
    else if (result == TABLE_FOUND && !str_to_u64(text, UINT32_MAX - 1, &found))
        failure_set(failure, "%s: \"%.*s\" is no number", maps->parameter, STR_ARGS(text));
    else if (result == TABLE_FOUND && found < minimum)
        failure_set(failure, "%s: %llu is below %llu", maps->parameter, (unsigned long long)found,
                    (unsigned long long)minimum);
    else
        good = result == TABLE_FOUND;
    buf_free(&value);
    if (good) *number = found;
    return good;
}

bool lookup_mailbox(struct lookup *lookup, const struct subject *subject, struct arena *arena,
                    struct ipc_lookup_local_found *answer, struct failure *failure) {
    struct buf value = buf_make(LOOKUP_VALUE_MAX);
    uint64_t minimum = (uint64_t)lookup->config->virtual_minimum_uid;
    enum table_result result =
        subject_find(lookup, lookup->virtual_mailbox_maps, subject, KEY_ADDRESSES | KEY_DOMAIN, &value, NULL, failure);
    bool good = result == TABLE_ABSENT;
    if (result == TABLE_FOUND) {
        good = make_path(lookup, str_trim(buf_str(&value)), arena, &answer->mailbox, failure) &&
               find_number(lookup, subject, lookup->virtual_uid_maps, minimum, &answer->uid, failure) &&
               find_number(lookup, subject, lookup->virtual_gid_maps, 1, &answer->gid, failure);
        answer->kind = LOCAL_VIRTUAL;
        answer->extension = subject->extension;
    }
    buf_free(&value);
    return good;
}
