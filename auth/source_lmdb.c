/* source lmdb:FILE: accounts in the file FILE.lmdb that ternmap made, keyed by name, with
 * values as in a passwd-file after the name. Opened anew when ternmap has made another. */
#include "account_line.h"
#include "sources.h"
#include "table.h"
#include "task.h"

#define LOOK_EVERY 200 /* ms */

struct lmdb_source {
    char *name;          /* "lmdb:FILE" */
    struct table *table; /* NULL: not open */
    deadline look_again;
};

static bool lmdb_source_open(struct auth_source *source, struct failure *failure) {
    struct buf name = buf_make(4096);
    struct lmdb_source *state;
    if (source->argument.length == 0 || source->argument.data[0] != '/' ||
        !buf_printf(&name, "lmdb:%.*s", STR_ARGS(source->argument))) {
        buf_free(&name);
        return failure_set(failure, "the file's name must begin with /");
    }
    state = MEMORY_NEW(struct lmdb_source);
    state->name = memory_copy_string(buf_str(&name));
    source->state = state;
    buf_free(&name);
    return true;
}

static void lmdb_source_close(struct auth_source *source) {
    struct lmdb_source *state = source->state;
    table_close(&state->table);
    MEMORY_FREE(state->name);
    MEMORY_FREE(source->state);
}

/* The map is in the page cache: opening and asking is not worth a thread. */
static bool ready(struct lmdb_source *state, struct failure *failure) {
    if (state->table && deadline_left(state->look_again) > 0) return true;
    state->look_again = deadline_in(LOOK_EVERY);
    if (state->table && !table_changed(state->table)) return true;
    table_close(&state->table);
    return table_open(str_from(state->name), 0, &state->table, failure);
}

static enum source_answer answer_of(struct str value, const struct source_question *question,
                                    struct auth_account *account, struct failure *failure) {
    struct str rest;
    if (!arena_copy(question->arena, value, &rest)) {
        failure_set(failure, "the account's entry is too long");
        return SOURCE_RETRY;
    }
    return account_line_read(rest, question->arena, account);
}

static enum source_answer lmdb_source_look_up(struct auth_source *source, const struct source_question *question,
                                              struct auth_account *account, struct failure *failure) {
    struct lmdb_source *state = source->state;
    struct buf value = buf_make(ACCOUNT_LINE_LIMIT);
    enum source_answer answer = SOURCE_RETRY;
    if (!ready(state, failure)) return SOURCE_RETRY;
    switch (table_lookup(state->table, question->user, &value, failure)) {
    case TABLE_FOUND:
        answer = answer_of(buf_str(&value), question, account, failure);
        break;
    case TABLE_ABSENT:
        answer = SOURCE_UNKNOWN;
        break;
    case TABLE_RETRY:
        break;
    }
    buf_free_secret(&value);
    return answer;
}

const struct auth_source_type source_lmdb = {
    .name = "lmdb",
    .open = lmdb_source_open,
    .look_up = lmdb_source_look_up,
    .close = lmdb_source_close,
};
