/* See folder_dates.h. */
#include "folder_dates.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "clock.h"

/* A directory's date moves in steps of the kernel's tick (4 or 10 ms), on some file systems of a second: what was read
 * that soon after a change may not be all of it. */
#define DATE_STEP          20000
#define DATE_STEP_WHOLE    2100000
#define READ_WHOLE_SECONDS 3600 /* cur/ is read at opening if we alone have changed it for so long */

static bool date_of(int directory, const char *name, struct folder_date *date, struct failure *failure) {
    struct stat status;
    if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
        return failure_set_errno(failure, errno, "cannot look at the folder's %s", name);
    *date = (struct folder_date){
        .seconds = status.st_mtim.tv_sec, .nanoseconds = (uint32_t)status.st_mtim.tv_nsec, .read_at = clock_date()};
    return true;
}

bool folder_dates(const struct folder *folder, struct folder_date *cur, struct folder_date *new_date,
                  struct failure *failure) {
    return date_of(folder->directory, "cur", cur, failure) && date_of(folder->directory, "new", new_date, failure);
}

static int64_t date_step(const struct folder_date *date) {
    return date->nanoseconds == 0 ? DATE_STEP_WHOLE : DATE_STEP;
}

static int64_t microseconds(const struct folder_date *date) {
    return date->seconds * CLOCK_SECOND + date->nanoseconds / 1000;
}

bool folder_date_holds(const struct folder_date *noted, const struct folder_date *now) {
    return noted->read_at != 0 && noted->seconds == now->seconds && noted->nanoseconds == now->nanoseconds &&
           noted->read_at >= microseconds(noted) + date_step(noted);
}

/* ---- whether to read */

bool folder_is_stale(const struct folder *folder) {
    struct folder_date cur = {0}, new_date = {0};
    struct failure ignored = {0};
    if (folder->read_all || !folder_dates(folder, &cur, &new_date, &ignored)) return true;
    return !folder_date_holds(&folder->state.header.cur, &cur) ||
           !folder_date_holds(&folder->state.header.new, &new_date);
}

void folder_plan_reading(struct folder *folder) {
    const struct folder_header *header = &folder->state.header;
    int64_t now = clock_date() / CLOCK_SECOND;
    bool changed_by_us = header->cur.seconds > header->read_whole;
    folder->read_all = changed_by_us && (now - header->read_whole > READ_WHOLE_SECONDS || now < header->read_whole);
}

/* ---- our own changes */

void folder_own_change_begin(const struct folder *folder, struct folder_own_change *change) {
    struct folder_date cur = {0};
    struct failure ignored = {0};
    *change = (struct folder_own_change){.cur_held = date_of(folder->directory, "cur", &cur, &ignored) &&
                                                     folder_date_holds(&folder->state.header.cur, &cur)};
}

/* Another program's change to cur/ in the same moments would not be seen by its date: folder_is_stale reads cur/ from
 * time to time in any case. */
void folder_own_change_end(const struct folder *folder, const struct folder_own_change *change, struct buf *entries) {
    struct journal_entry dates = {
        .type = JOURNAL_DATES, .new = folder->state.header.new, .read_whole = folder->state.header.read_whole};
    struct failure ignored = {0};
    if (!change->cur_held || !date_of(folder->directory, "cur", &dates.cur, &ignored)) return;
    dates.cur.read_at = microseconds(&dates.cur) + date_step(&dates.cur);
    journal_append(entries, &dates, NULL);
}
