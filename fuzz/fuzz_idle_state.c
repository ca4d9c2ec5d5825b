/* Fuzz target: the text by which one process hands an idling session to the next. */
#include "imap_idle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct idle_state state = {.tag = STR_EMPTY}, again = {.tag = STR_EMPTY};
    struct buf text = buf_make(0);
    if (!idle_state_parse(str_make((const char *)data, size), &state)) return 0;
    idle_state_format(&state, &text);
    check(idle_state_parse(buf_str(&text), &again));
    check(again.features == state.features && again.selected == state.selected && again.read_only == state.read_only &&
          again.uid_validity == state.uid_validity && again.uid_next == state.uid_next &&
          again.recent_from == state.recent_from && again.recent_to == state.recent_to &&
          again.modseq == state.modseq && str_equal(again.tag, state.tag) && str_equal(again.mailbox, state.mailbox) &&
          str_equal(again.saved, state.saved));
    buf_free(&text);
    return 0;
}
