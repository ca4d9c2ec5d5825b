/* source passwd-file:FILE: accounts in a text file as Dovecot has it (account_line.h), or
 * simply user:hash.
 *
 * The file is held in memory with a map of names, and read again when it is another
 * one than it was: it is looked at when asked, not more than five times a second. A file that cannot
 * be read is a local fault, never "no such account"; what was read of it before stays good for no longer. */
#include "account_line.h"
#include "buf.h"
#include "hash.h"
#include "password_hash.h"
#include "sources.h"
#include "table_file.h"
#include "task.h"

#define FILE_LIMIT ((size_t)64 << 20)
#define LOOK_EVERY 200 /* ms */
#define LOOKS_STABLE                                                                                                   \
    2 /* s: a file changed less than this before it was read may change again within one time stamp                    \
       */

struct line {
    struct str rest;
};

struct accounts_file {
    struct buf content;
    struct map *lines; /* name to struct line */
    struct line *rows;
    struct table_stamp stamp;
    size_t scram_1, scram_256; /* accounts from whose secret SCRAM works */
};

struct passwd_file {
    struct accounts_file *now; /* NULL: could not be read */
    struct failure failure;
    deadline look_again;
    struct task_queue waiting;
    bool reading;
};

static void file_free(struct accounts_file *file) {
    if (!file) return;
    if (file->lines) map_destroy(&file->lines);
    MEMORY_FREE(file->rows);
    buf_free_secret(&file->content);
    MEMORY_FREE(file);
}

static struct str next_line(struct str *rest) {
    struct str line, after;
    if (!str_cut(*rest, '\n', &line, &after)) {
        line = *rest;
        after = STR_EMPTY;
    }
    *rest = after;
    return line;
}

static void count_kind(struct accounts_file *file, struct str rest) {
    if (password_hash_has_scram(rest, STR("SHA-1"))) file->scram_1++;
    if (password_hash_has_scram(rest, STR("SHA-256"))) file->scram_256++;
}

/* The first line of a name counts. */
static void index_lines(struct accounts_file *file) {
    struct str rest = buf_str(&file->content), user, value;
    size_t count = 1, used = 0;
    for (size_t i = 0; i < rest.length; i++)
        count += rest.data[i] == '\n';
    file->rows = memory_allocate(count, sizeof *file->rows);
    file->lines = map_create();
    while (rest.length) {
        if (!account_line_split(next_line(&rest), &user, &value) || map_get(file->lines, user)) continue;
        file->rows[used].rest = value;
        map_put(file->lines, user, &file->rows[used++]);
        count_kind(file, value);
    }
}

struct reading {
    struct str path;
    struct accounts_file *file; /* NULL: failed */
    struct failure failure;
};

/* On a helper thread. */
static void read_file(void *argument) {
    struct reading *reading = argument;
    struct accounts_file *file = MEMORY_NEW(struct accounts_file);
    if (!table_file_read(reading->path, FILE_LIMIT, &file->content, &file->stamp, &reading->failure)) {
        file_free(file);
        return;
    }
    if (clock_date() / CLOCK_SECOND - file->stamp.seconds < LOOKS_STABLE) file->stamp.nanoseconds = -1;
    index_lines(file);
    reading->file = file;
}

static void refresh(struct auth_source *source) {
    struct passwd_file *state = source->state;
    while (state->reading)
        if (task_queue_wait(&state->waiting, DEADLINE_NEVER) == WAIT_CANCELLED) return;
    if (state->now && deadline_left(state->look_again) > 0) return;
    struct table_stamp stamp = table_stamp_of(source->argument);
    state->look_again = deadline_in(LOOK_EVERY);
    if (state->now && table_stamp_equal(&stamp, &state->now->stamp)) return;
    struct reading reading = {.path = source->argument};
    state->reading = true;
    task_run_blocking(read_file, &reading);
    state->reading = false;
    file_free(state->now);
    state->now = reading.file;
    state->failure = reading.failure;
    task_queue_wake_all(&state->waiting);
}

static bool passwd_file_open(struct auth_source *source, struct failure *failure) {
    if (source->argument.length == 0 || source->argument.data[0] != '/')
        return failure_set(failure, "the file's name must begin with /");
    source->state = MEMORY_NEW(struct passwd_file);
    return true;
}

static void passwd_file_close(struct auth_source *source) {
    struct passwd_file *state = source->state;
    file_free(state->now);
    MEMORY_FREE(source->state);
}

static enum source_answer passwd_file_look_up(struct auth_source *source, const struct source_question *question,
                                              struct auth_account *account, struct failure *failure) {
    struct passwd_file *state = source->state;
    struct str rest;
    refresh(source);
    if (!state->now) {
        *failure = state->failure;
        return SOURCE_RETRY;
    }
    const struct line *line = map_get(state->now->lines, question->user);
    if (!line) return SOURCE_UNKNOWN;
    if (!arena_copy(question->arena, line->rest, &rest)) {
        failure_set(failure, "the account's line is too long");
        return SOURCE_RETRY;
    }
    return account_line_read(rest, question->arena, account);
}

static bool passwd_file_has_scram(struct auth_source *source, struct str digest) {
    struct passwd_file *state = source->state;
    refresh(source);
    if (!state->now) return false;
    return (str_equal(digest, STR("SHA-1")) ? state->now->scram_1 : state->now->scram_256) > 0;
}

const struct auth_source_type source_passwd_file = {
    .name = "passwd-file",
    .open = passwd_file_open,
    .look_up = passwd_file_look_up,
    .has_scram = passwd_file_has_scram,
    .close = passwd_file_close,
};
