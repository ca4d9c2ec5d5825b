/* access_action: see access_action.h. */
#include "access_action.h"
#include "status_code.h"

static const struct {
    struct str word;
    enum access_kind kind;
} words[] = {
    {STR_INIT("OK"), ACCESS_OK},
    {STR_INIT("RELAY"), ACCESS_OK},
    {STR_INIT("DUNNO"), ACCESS_DUNNO},
    {STR_INIT("REJECT"), ACCESS_REJECT},
    {STR_INIT("DEFER"), ACCESS_DEFER},
    {STR_INIT("DEFER_IF_PERMIT"), ACCESS_DEFER_IF_PERMIT},
    {STR_INIT("DEFER_IF_REJECT"), ACCESS_DEFER_IF_REJECT},
    {STR_INIT("HOLD"), ACCESS_HOLD},
    {STR_INIT("DISCARD"), ACCESS_DISCARD},
    {STR_INIT("WARN"), ACCESS_WARN},
    {STR_INIT("INFO"), ACCESS_INFO},
    {STR_INIT("PREPEND"), ACCESS_PREPEND},
    {STR_INIT("FILTER"), ACCESS_UNSUPPORTED},
    {STR_INIT("REDIRECT"), ACCESS_REDIRECT},
    {STR_INIT("BCC"), ACCESS_BCC},
};

static bool is_number(struct str word) {
    uint64_t number = 0;
    return str_to_u64(word, UINT64_MAX, &number);
}

/* An enhanced code at the text's start, whose class fits the action. */
static void take_status(struct access_action *action, char class) {
    struct str text = action->text;
    struct status_code code;
    if (!status_code_take(&text, &code) || action->text.data[0] != class) return;
    action->status = str_trim(str_slice(action->text, 0, action->text.length - text.length));
    action->text = text;
}

struct access_action access_action_parse(struct str value) {
    value = str_trim(value);
    struct str word = STR_EMPTY, rest = value;
    uint64_t code = 0;
    (void)str_next_word(&rest, " \t", &word);
    struct access_action action = {.kind = ACCESS_RESTRICTIONS, .text = str_trim(rest), .status = STR_EMPTY};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        if (!str_equal_nocase(word, words[i].word)) continue;
        action.kind = words[i].kind;
        if (action.kind == ACCESS_REJECT) take_status(&action, '5');
        if (action.kind == ACCESS_DEFER || action.kind == ACCESS_DEFER_IF_PERMIT ||
            action.kind == ACCESS_DEFER_IF_REJECT)
            take_status(&action, '4');
        return action;
    }
    if (word.length == 3 && (word.data[0] == '4' || word.data[0] == '5') && str_to_u64(word, 599, &code)) {
        action.kind = ACCESS_CODE;
        action.code = (unsigned)code;
        take_status(&action, word.data[0]);
        return action;
    }
    /* All digits: what makemap and relay databases hold for "yes". */
    if (is_number(value))
        action.kind = ACCESS_OK;
    else
        action.text = value;
    return action;
}
