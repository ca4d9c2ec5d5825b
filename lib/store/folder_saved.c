/* See folder_saved.h. */
#include "folder_saved.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "folder_flags.h"
#include "folder_journal.h"
#include "store_root.h"

bool folder_sync_place(struct folder *target, enum folder_place place, struct failure *failure) {
    int *directory = &target->places[place];
    if (*directory < 0)
        *directory = openat(target->directory, place == PLACE_NEW ? "new" : "cur",
                            O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return (*directory >= 0 && fsync(*directory) == 0) || failure_set_errno(failure, errno, "cannot sync the folder");
}

enum store_result folder_note_saved(struct folder *target, struct saved *messages, size_t count,
                                    const struct folder_own_change *own, struct uid_set *uids,
                                    struct failure *failure) {
    struct buf entries = buf_make(0), adds = buf_make(0); /* entries: keywords come first */
    uint32_t uid = target->state.header.uid_next;
    uint64_t modseq = target->state.header.highest_modseq + 1;
    enum store_result result = STORE_OK;
    if (count > UINT32_MAX - uid) {
        failure_set(failure, "the mailbox has no UIDs left");
        result = STORE_LIMIT;
    }
    for (size_t i = 0; result == STORE_OK && i < count; i++) {
        struct journal_entry add = {.type = JOURNAL_ADD, .record = messages[i].record};
        result = folder_keyword_bits(target, messages[i].keywords, messages[i].keyword_count, true, &entries,
                                     &add.record.keywords, failure);
        add.record.uid = uid + (uint32_t)i;
        add.record.modseq = modseq;
        journal_append(&adds, &add, NULL);
    }
    buf_append(&entries, buf_str(&adds));
    buf_free(&adds);
    folder_own_change_end(target, own, &entries);
    if (result == STORE_OK) result = folder_append(target, &entries, APPEND_SYNCED, failure);
    if (result == STORE_OK && count > 0) uid_set_add(uids, uid, uid + (uint32_t)count - 1);
    buf_free(&entries);
    return result;
}
