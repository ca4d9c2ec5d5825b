/* ternsuper: the operator's hand in the queue: delete, hold, release, requeue, expire,
 * check. Also called postsuper.
 *
 * While the mail system runs, the queue manager does what is wished; while it does not,
 * this command does it to the files, and holds master's lock meanwhile. */
#include "config_value.h"
#include "hash.h"
#include "log_writer.h"
#include "memory.h"
#include "queue_change.h"
#include "queue_check.h"
#include "queue_id.h"
#include "queue_selection.h"
#include "queue_source.h"
#include "queue_tool.h"
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE_ONE 600000 /* ms */
#define PATIENCE_ALL 86400000
#define PID_FILE     "pid/master.pid"

/* ---- what is wished, in the order of the options */

struct wish {
    enum queue_change change;
    const char *id; /* a queue ID, ALL, or - */
};

/* The changes: option, and the words for a count and for the log. */
static const struct change_row {
    char option;
    enum queue_change change;
    const char *counted, *logged;
} change_rows[] = {
    {'d', QUEUE_DELETE, "Deleted", "removed"},
    {'h', QUEUE_HOLD, "Placed on hold", "placed on hold"},
    {'H', QUEUE_RELEASE, "Released from hold", "released from hold"},
    {'r', QUEUE_REQUEUE, "Requeued", "requeued"},
    {'e', QUEUE_EXPIRE, "Force-expired", "expired"},
    {'f', QUEUE_EXPIRE_RELEASE, "Force-expired", "expired"},
};

struct super {
    struct queue_tool tool;
    struct wish *wishes;
    size_t wish_count;
    bool check, purge;
    struct queue_selection selection;
    struct buf queues;
    bool input_read;
    int server; /* socket; -1: the mail system is down */
    int queue;
    struct queue_folders folders;
    struct log_writer log;
    struct map *selected; /* with a selection: the IDs that fit */
    uint64_t counts[ARRAY_LENGTH(change_rows)];
    int status;
};

static const struct change_row *row_of(enum queue_change change) {
    for (size_t i = 0; i < ARRAY_LENGTH(change_rows); i++)
        if (change_rows[i].change == change) return &change_rows[i];
    return NULL;
}

static void count(struct super *super, enum queue_change change, uint64_t messages) {
    super->counts[row_of(change) - change_rows] += messages;
}

static void fail(struct super *super, int status) {
    if (super->status == EX_OK) super->status = status;
}

/* An ID that was mistyped does not keep the others from being done. */
static bool may_go_on(const struct super *super) {
    return super->status == EX_OK || super->status == EX_USAGE;
}

/* ---- the log, while nobody else writes it */

static void log_line(struct super *super, const char *format, ...) PRINTF_LIKE(2, 3);
static void log_line(struct super *super, const char *format, ...) {
    struct buf text = buf_make(0);
    va_list arguments;
    if (!super->log.is_open) return;
    va_start(arguments, format);
    buf_vprintf(&text, format, arguments);
    va_end(arguments);
    if (!log_writer_write(&super->log, 6, buf_str(&text), NULL)) log_writer_close(&super->log);
    buf_free(&text);
}

static void log_change(const char *queue_id, enum queue_change change, void *context) {
    log_line(context, "%s: %s", queue_id, row_of(change)->logged);
}

/* ---- one wish */

/* As postsuper does for each message that was named. */
static void say_change(const struct super *super, enum queue_change change, struct str id) {
    queue_tool_say(&super->tool, "%.*s: %s", STR_ARGS(id), row_of(change)->logged);
}

static void change_by_server(struct super *super, enum queue_change change, struct str id, struct str queues,
                             bool loud) {
    struct failure failure = {0};
    struct arena *arena = arena_create(0);
    struct ipc_qmgr_change ask = {.change = change, .queue_id = id, .queue = queues};
    struct ipc_reply reply = {.descriptor = -1};
    int64_t patience = str_equal(id, STR("ALL")) ? PATIENCE_ALL : PATIENCE_ONE;
    enum ipc_result result =
        ipc_ask_blocking(super->server, IPC_QMGR_CHANGE, &ask, -1, IPC_QMGR_CHANGED, patience, arena, &reply, &failure);
    if (result == IPC_OK) {
        uint64_t met = ((const struct ipc_qmgr_changed *)reply.message)->count;
        count(super, change, met);
        if (met > 0 && loud) say_change(super, change, id);
        if (met == 0 && loud)
            queue_tool_warn(&super->tool, "%.*s: nothing changed: no such message, or not possible for it now",
                            STR_ARGS(id));
    } else {
        fail(super, queue_tool_fatal(&super->tool, result == IPC_REFUSED ? EX_NOPERM : EX_TEMPFAIL, "%.*s: %s",
                                     STR_ARGS(id), failure.text));
    }
    arena_destroy(&arena);
}

static void change_by_hand(struct super *super, enum queue_change change, const char *id, bool loud) {
    struct failure failure = {0};
    switch (queue_change_one(&super->folders, id, change, &failure)) {
    case QUEUE_CHANGE_DONE:
        count(super, change, 1);
        if (loud) say_change(super, change, str_from(id));
        log_change(id, change, super);
        break;
    case QUEUE_CHANGE_NONE:
        if (loud) queue_tool_warn(&super->tool, "%s: nothing changed: no such message, or not possible for it", id);
        break;
    case QUEUE_CHANGE_FAILED:
        queue_tool_warn(&super->tool, "%s: %s", id, failure.text);
        fail(super, EX_OSERR);
        break;
    }
}

static void change_one(struct super *super, enum queue_change change, struct str id, bool loud) {
    char name[QUEUE_ID_SIZE];
    /* What mailq puts behind an ID. */
    if (id.length && strchr("*!#", id.data[id.length - 1])) id.length--;
    if (!queue_id_is_valid(id)) {
        queue_tool_warn(&super->tool, "invalid mail queue ID: %.*s", STR_ARGS(id));
        fail(super, EX_USAGE);
        return;
    }
    if (super->selected && !map_get(super->selected, id)) return;
    snprintf(name, sizeof name, "%.*s", STR_ARGS(id));
    if (super->server >= 0)
        change_by_server(super, change, str_from(name), STR_EMPTY, loud);
    else
        change_by_hand(super, change, name, loud);
}

static void change_selected(struct super *super, enum queue_change change) {
    size_t at = 0;
    struct str id;
    void *value;
    while (may_go_on(super) && map_next(super->selected, &at, &id, &value))
        change_one(super, change, id, false);
}

static void change_all(struct super *super, enum queue_change change) {
    struct failure failure = {0};
    uint64_t met = 0;
    if (super->selected) {
        change_selected(super, change);
    } else if (super->server >= 0) {
        change_by_server(super, change, STR("ALL"), super->selection.queues, false);
    } else {
        const struct queue_wish wish = {change, super->selection.queues, log_change, super};
        if (!queue_change_all(&super->folders, &wish, &met, &failure)) {
            queue_tool_warn(&super->tool, "not all was done: %s", failure.text);
            fail(super, EX_OSERR);
        }
        count(super, change, met);
    }
}

/* IDs from standard input, the first word of each line. */
static void change_from_input(struct super *super, enum queue_change change) {
    char *line = NULL;
    size_t room = 0;
    ssize_t length;
    if (super->input_read) {
        fail(super, queue_tool_fatal(&super->tool, EX_USAGE, "standard input can be read for one option only"));
        return;
    }
    super->input_read = true;
    while ((length = getline(&line, &room, stdin)) >= 0) {
        struct str rest = str_make(line, (size_t)length), id;
        if (str_next_word(&rest, " \t\r\n", &id)) change_one(super, change, id, true);
        if (!may_go_on(super)) break;
    }
    free(line);
}

static void do_wish(struct super *super, const struct wish *wish) {
    if (strcmp(wish->id, "-") == 0)
        change_from_input(super, wish->change);
    else if (strcmp(wish->id, "ALL") == 0)
        change_all(super, wish->change);
    else
        change_one(super, wish->change, str_from(wish->id), true);
}

/* ---- selection: first the IDs, so that the listing does not move while it is read */

static bool note_selected(const struct ipc_queued *row, void *context) {
    struct super *super = context;
    if (queue_id_is_valid(row->queue_id) && queue_selection_fits(&super->selection, row))
        map_put(super->selected, row->queue_id, super);
    return true;
}

/* With queues, single IDs have to be looked up in the listing too. */
static bool wants_listing(const struct super *super) {
    if (queue_selection_is_set(&super->selection)) return true;
    for (size_t i = 0; super->selection.queues.length && i < super->wish_count; i++)
        if (strcmp(super->wishes[i].id, "ALL") != 0) return true;
    return false;
}

static bool select_messages(struct super *super) {
    struct failure failure = {0};
    uint64_t unread = 0;
    if (!wants_listing(super)) return true;
    super->selected = map_create();
    bool good = super->server >= 0 ? queue_source_server(super->server, note_selected, super, &failure)
                                   : queue_source_folders(super->queue, note_selected, super, &unread, &failure);
    if (!good) fail(super, queue_tool_fatal(&super->tool, EX_TEMPFAIL, "the queue cannot be listed: %s", failure.text));
    return good;
}

/* ---- check and purge */

static void show_finding(const char *text, void *context) {
    struct super *super = context;
    queue_tool_say(&super->tool, "%s", text);
    log_line(super, "%s", text);
}

static void check_or_purge(struct super *super) {
    struct failure failure = {0};
    struct queue_check_counts counts;
    bool running = super->server >= 0;
    struct queue_check_wishes wishes = {
        .structure = super->check, .content = super->check, .purge = true, .repair = true};
    if (super->check && running) {
        queue_tool_warn(&super->tool, "the mail system runs: the queue is looked at, nothing is repaired");
        wishes.repair = false;
    }
    if (!queue_check(super->queue, &wishes, &counts, show_finding, super, &failure)) {
        fail(super, queue_tool_fatal(&super->tool, EX_OSERR, "the check ended early: %s", failure.text));
        return;
    }
    if (super->check)
        queue_tool_say(
            &super->tool, "Checked: %llu good, %llu damaged, %llu foreign, %llu left over, %llu folders missing",
            (unsigned long long)counts.messages, (unsigned long long)counts.damaged, (unsigned long long)counts.foreign,
            (unsigned long long)counts.leftovers, (unsigned long long)counts.folders_made);
    else if (counts.leftovers)
        queue_tool_say(&super->tool, "Removed from tmp: %llu file%s", (unsigned long long)counts.leftovers,
                       counts.leftovers == 1 ? "" : "s");
}

/* ---- whose queue it is just now */

/* Takes master's lock, so that it does not start meanwhile. The descriptor stays open. */
static bool lock_out_master(struct super *super) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open(PID_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0 && errno == EACCES) {
        /* The queue's owner may only read it; a read lock keeps master out as well. */
        lock.l_type = F_RDLCK;
        file = open(PID_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    }
    if (file < 0 && errno == ENOENT) return true; /* master has never run here */
    if (file >= 0 && fcntl(file, F_SETLK, &lock) == 0) return true;
    int reason = errno;
    if (file >= 0) close(file);
    if (reason == EAGAIN || (reason == EACCES && file >= 0))
        fail(super, queue_tool_fatal(&super->tool, EX_TEMPFAIL,
                                     "the mail system runs, but its queue manager does not answer"));
    else
        fail(super, queue_tool_fatal(&super->tool, EX_OSERR, "cannot lock %s: %s", PID_FILE, strerror(reason)));
    return false;
}

static bool is_permitted(struct super *super) {
    struct stat status;
    bool good = geteuid() == 0 || (stat("queue", &status) == 0 && status.st_uid == geteuid());
    if (!good)
        fail(super, queue_tool_fatal(&super->tool, EX_NOPERM,
                                     "use of this command is reserved for the superuser and the queue's owner"));
    return good;
}

static bool wants_folders(const struct super *super) {
    return super->server < 0 || super->check || super->purge;
}

static bool open_queue(struct super *super) {
    struct failure failure = {0};
    super->server = queue_tool_connect(&failure);
    if (super->server < 0) {
        if (!lock_out_master(super)) return false;
        if (!log_writer_open(&super->log, super->tool.config, super->tool.program, STR_EMPTY, &failure) &&
            super->tool.verbose)
            queue_tool_warn(&super->tool, "not in the log: %s", failure.text);
    }
    if (!wants_folders(super)) return true;
    super->queue = queue_tool_open_queue(&failure);
    if (super->queue >= 0 && queue_tool_become_owner(super->queue, &failure)) return true;
    fail(super, queue_tool_fatal(&super->tool, EX_OSERR, "%s", failure.text));
    return false;
}

/* ---- options */

static int usage(const struct super *super) {
    return queue_tool_fatal(
        &super->tool, EX_USAGE,
        "usage: %s [-c directory] [-psSv] [-d id] [-e id] [-f id] [-h id] [-H id] [-r id] [--sender pattern] "
        "[--recipient pattern] [--older-than time] [hold|incoming|active|deferred]...",
        super->tool.program);
}

static int add_wish(struct super *super, int letter, const char *id) {
    for (size_t i = 0; i < ARRAY_LENGTH(change_rows); i++)
        if (change_rows[i].option == letter) {
            super->wishes = memory_resize(super->wishes, super->wish_count + 1, sizeof *super->wishes);
            super->wishes[super->wish_count++] = (struct wish){change_rows[i].change, id};
            return EX_OK;
        }
    return usage(super);
}

static int read_age(struct super *super, const char *text) {
    int64_t seconds;
    if (!config_value_time(str_from(text), 's', &seconds) || seconds <= 0)
        return queue_tool_fatal(&super->tool, EX_USAGE, "--older-than takes a time such as 90m, 12h or 3d, not \"%s\"",
                                text);
    super->selection.arrived_before = clock_date() / CLOCK_SECOND - seconds;
    return EX_OK;
}

static int read_queues(struct super *super, int number, char **words) {
    static const char *const known[] = {"hold", "incoming", "active", "deferred"};
    for (int i = 0; i < number; i++) {
        bool good = false;
        for (size_t k = 0; k < ARRAY_LENGTH(known); k++)
            good = good || strcmp(words[i], known[k]) == 0;
        if (!good)
            return queue_tool_fatal(&super->tool, EX_USAGE, "\"%s\" is no queue: hold, incoming, active, deferred",
                                    words[i]);
        if (queue_is_named(buf_str(&super->queues), str_from(words[i])) && super->queues.length) continue;
        buf_printf(&super->queues, "%s%s", super->queues.length ? " " : "", words[i]);
    }
    super->selection.queues = buf_str(&super->queues);
    return EX_OK;
}

enum { OPTION_SENDER = 1000, OPTION_RECIPIENT, OPTION_OLDER };

static int read_options(struct super *super, int number, char **words) {
    static const struct option long_options[] = {{"sender", required_argument, NULL, OPTION_SENDER},
                                                 {"recipient", required_argument, NULL, OPTION_RECIPIENT},
                                                 {"older-than", required_argument, NULL, OPTION_OLDER},
                                                 {NULL, 0, NULL, 0}};
    int status = EX_OK;
    for (int letter;
         status == EX_OK && (letter = getopt_long(number, words, "c:d:e:f:h:H:pr:sSv", long_options, NULL)) != -1;) {
        switch (letter) {
        case 'c':
            super->tool.config_directory = optarg;
            break;
        case 'v':
            super->tool.verbose = true;
            break;
        case 'p':
            super->purge = true;
            break;
        case 's':
        case 'S':
            super->check = true;
            break;
        case OPTION_SENDER:
            super->selection.sender = optarg;
            break;
        case OPTION_RECIPIENT:
            super->selection.recipient = optarg;
            break;
        case OPTION_OLDER:
            status = read_age(super, optarg);
            break;
        default:
            status = add_wish(super, letter, optarg);
            break;
        }
    }
    if (status != EX_OK) return status;
    if (super->wish_count == 0 && !super->check && !super->purge) return usage(super);
    return read_queues(super, number - optind, words + optind);
}

/* ---- */

static bool is_wished(const struct super *super, enum queue_change change) {
    for (size_t i = 0; i < super->wish_count; i++)
        if (super->wishes[i].change == change) return true;
    return false;
}

/* A count for each wish, of none too: scripts read it. -e and -f are counted as one, as postsuper does. */
static void say_counts(struct super *super) {
    bool wished = false;
    for (size_t i = 0; i < ARRAY_LENGTH(change_rows); i++) {
        uint64_t messages = super->counts[i];
        wished = wished || is_wished(super, change_rows[i].change);
        bool same_as_next =
            i + 1 < ARRAY_LENGTH(change_rows) && strcmp(change_rows[i].counted, change_rows[i + 1].counted) == 0;
        if (same_as_next) {
            super->counts[i + 1] += messages;
            continue;
        }
        bool said = wished;
        wished = false;
        if (!said) continue;
        queue_tool_say(&super->tool, "%s: %llu message%s", change_rows[i].counted, (unsigned long long)messages,
                       messages == 1 ? "" : "s");
        log_line(super, "%s: %llu message%s", change_rows[i].counted, (unsigned long long)messages,
                 messages == 1 ? "" : "s");
    }
}

static void do_wishes(struct super *super) {
    struct failure failure = {0};
    bool by_hand = super->server < 0;
    if (by_hand && !queue_folders_open(super->queue, &super->folders, &failure)) {
        fail(super, queue_tool_fatal(&super->tool, EX_OSERR, "%s", failure.text));
        return;
    }
    if (select_messages(super))
        for (size_t i = 0; i < super->wish_count && may_go_on(super); i++)
            do_wish(super, &super->wishes[i]);
    if (by_hand && super->counts[row_of(QUEUE_REQUEUE) - change_rows])
        queue_tool_say(&super->tool, "the mail system is down: requeued messages are tried afresh when it starts; "
                                     "addresses are not expanded again");
    if (by_hand && !queue_folders_close(&super->folders)) {
        queue_tool_warn(&super->tool, "the folders cannot be synced: %s", strerror(errno));
        fail(super, EX_OSERR);
    }
    say_counts(super);
}

static void run(struct super *super) {
    if (!is_permitted(super) || !open_queue(super)) return;
    if (super->check || super->purge) check_or_purge(super);
    if (super->wish_count && super->status == EX_OK) do_wishes(super);
}

int main(int number, char **words) {
    struct super super = {
        .tool = {.program = queue_tool_name(words[0])}, .server = -1, .queue = -1, .log = {.file = -1}};
    super.status = read_options(&super, number, words);
    if (super.status == EX_OK) super.status = queue_tool_load(&super.tool);
    if (super.status == EX_OK) run(&super);
    if (super.server >= 0) close(super.server);
    if (super.queue >= 0) close(super.queue);
    if (super.selected) map_destroy(&super.selected);
    log_writer_close(&super.log);
    MEMORY_FREE(super.wishes);
    buf_free(&super.queues);
    config_free(&super.tool.config);
    return super.status;
}
