/* folder_dates: the dates of new/ and cur/, by which is told whether another program has changed something there. */
#ifndef TERN_FOLDER_DATES_H
#define TERN_FOLDER_DATES_H

#include "folder_view.h"

/* The directories' dates as they are now. */
MUST_USE bool folder_dates(const struct folder *folder, struct folder_date *cur, struct folder_date *new_date,
                           struct failure *failure);
/* Whether nothing can have changed since a date was noted. */
bool folder_date_holds(const struct folder_date *noted, const struct folder_date *now);
/* Whether the directories must be read. */
bool folder_is_stale(const struct folder *folder);
/* The same when the folder is opened: cur/ is looked at from time to time even if nothing says that it should. */
void folder_plan_reading(struct folder *folder);
/* Before changing file names ourselves: whether cur/'s noted date holds. After it: notes the new one, in entries, if it
 * did. So our own changes cost no reading of cur/. That of new/ is never noted so: deliveries come there without the
 * lock, and one that came meanwhile would not be seen. */
struct folder_own_change {
    bool cur_held;
};
void folder_own_change_begin(const struct folder *folder, struct folder_own_change *change);
void folder_own_change_end(const struct folder *folder, const struct folder_own_change *change, struct buf *entries);

#endif
