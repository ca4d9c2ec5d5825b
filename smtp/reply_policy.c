/* See reply_policy.h. */
#include "reply_policy.h"

static const struct {
    const char *state, *command;
} words[] = {
#define SMTP_STAGE_WORDS(name, state, command) {state, command},
    SMTP_STAGE_TABLE(SMTP_STAGE_WORDS)
#undef SMTP_STAGE_WORDS
};

const char *smtp_stage_state(enum smtp_stage stage) {
    return words[stage].state;
}

const char *smtp_stage_command(enum smtp_stage stage) {
    return words[stage].command;
}

/* The enhanced code if its class is the verdict's, else class and nothing more. */
static struct status_code status_of(unsigned class, struct status_code enhanced) {
    if (enhanced.class == class) return enhanced;
    return (struct status_code){.class = (uint8_t) class};
}

struct reply_judgement reply_judge(enum smtp_stage stage, unsigned code, struct status_code enhanced,
                                   bool skip_5xx_greeting) {
    unsigned class = code / 100;
    struct reply_judgement judgement = {.closes = code == 421};
    if (class == (stage == STAGE_DATA ? 3U : 2U)) {
        judgement.verdict = REPLY_GOOD;
        judgement.status = status_of(2, enhanced);
    } else if (class == 4) {
        judgement.verdict = REPLY_DEFER;
        judgement.status = status_of(4, enhanced);
    } else if (class == 5 && stage == STAGE_GREETING && skip_5xx_greeting) {
        judgement.verdict = REPLY_DEFER;
        if (enhanced.class == 5) enhanced.class = 4;
        judgement.status = status_of(4, enhanced);
    } else if (class == 5) {
        judgement.verdict = REPLY_FAIL;
        judgement.status = status_of(5, enhanced);
    } else { /* 354 to MAIL, 250 to DATA: a confused server is no reason to return mail */
        judgement.verdict = REPLY_DEFER;
        judgement.protocol_error = true;
        judgement.status = status_code_make(4, STATUS_PROTOCOL_OTHER);
    }
    return judgement;
}
