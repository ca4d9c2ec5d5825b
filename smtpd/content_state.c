/* What is known of a content while it comes in, and its end. */
#include "content_state.h"
#include "smtpd.h"

struct str content_queue_id(const struct content *content) {
    return str_from(content->queue_id);
}

uint64_t content_received(const struct content *content) {
    return content->received;
}

void content_free(struct content **content) {
    if (!*content) return;
    intake_cancel(&(*content)->intake);
    buf_free(&(*content)->out);
    MEMORY_FREE(*content);
}
