/* envelope_wish: dates and priorities that a client sets; see envelope_wish.h. */
#include "envelope_wish.h"
#include "date.h"

bool envelope_wish_release(const struct smtp_mail *mail, int64_t now, int64_t longest, int64_t *release) {
    int64_t date = 0, microseconds;
    uint64_t wait;
    if (mail->holdfor.length) {
        if (!str_to_u64(mail->holdfor, (uint64_t)longest, &wait)) return false;
        date = now + (int64_t)wait;
    } else if (mail->holduntil.length) {
        if (!date_parse_rfc3339(mail->holduntil, &microseconds, NULL)) return false;
        date = microseconds / 1000000;
        if (date > now + longest) return false;
        if (date < now) date = now;
    }
    *release = date;
    return true;
}

void envelope_wish_deliver_by(const struct smtp_mail *mail, int64_t from, struct envelope_wish *wish) {
    if (!mail->has_by) return;
    wish->deliver_by = from + mail->by_time > 0 ? from + mail->by_time : 1;
    wish->by_mode = mail->by_mode == 'R' ? DELIVER_BY_RETURN : DELIVER_BY_NOTIFY;
    wish->by_trace = mail->by_trace;
}

bool envelope_wish_append_by(struct buf *line, const struct envelope_wish *wish, int64_t now) {
    int64_t left = wish->deliver_by - now;
    if (left > DELIVER_BY_MOST) left = DELIVER_BY_MOST;
    if (left < -DELIVER_BY_MOST) left = -DELIVER_BY_MOST;
    return buf_printf(line, "%lld;%c%s", (long long)left, wish->by_mode == DELIVER_BY_RETURN ? 'R' : 'N',
                      wish->by_trace ? "T" : "");
}

int64_t envelope_wish_begin(const struct envelope_wish *wish, int64_t arrival) {
    return wish->release > arrival ? wish->release : arrival;
}

bool envelope_wish_is_late(const struct envelope_wish *wish, int64_t now) {
    return wish->by_mode != DELIVER_BY_NOT && now >= wish->deliver_by;
}
