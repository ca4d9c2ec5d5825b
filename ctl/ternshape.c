/* ternshape: the queue by domain and age. Also called qshape. */
#include "clock.h"
#include "memory.h"
#include "queue_selection.h"
#include "queue_shape.h"
#include "queue_source.h"
#include "queue_tool.h"
#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

struct survey {
    struct queue_tool tool;
    struct queue_shape shape;
    struct queue_selection selection;
    struct buf queues;
    bool by_sender;
    int64_t now; /* seconds */
};

static bool count_row(const struct ipc_queued *row, void *context) {
    struct survey *survey = context;
    struct ipc_queued_recipient recipient;
    size_t offset = 0;
    bool bad = false;
    int64_t age = survey->now - (int64_t)row->arrival;
    if (!queue_selection_fits(&survey->selection, row)) return true;
    if (survey->by_sender) queue_shape_add(&survey->shape, row->sender, age);
    while (!survey->by_sender && ipc_list_next(row->recipients, IPC_ROW_QUEUED_RECIPIENT, &offset, &recipient, &bad))
        queue_shape_add(&survey->shape, recipient.address, age);
    return true;
}

static int read_folders(struct survey *survey) {
    struct failure failure = {0};
    uint64_t unread = 0;
    int queue = queue_tool_open_queue(&failure);
    bool good = queue >= 0 && queue_tool_become_owner(queue, &failure) &&
                queue_source_folders(queue, count_row, survey, &unread, &failure);
    if (queue >= 0) close(queue);
    return good ? EX_OK
                : queue_tool_fatal(&survey->tool, EX_UNAVAILABLE,
                                   "mail system is down, and the queue does not read: %s", failure.text);
}

static int read_queue(struct survey *survey) {
    struct failure failure = {0};
    int socket = queue_tool_connect(&failure);
    if (socket < 0) return read_folders(survey);
    bool good = queue_source_server(socket, count_row, survey, &failure);
    close(socket);
    return good ? EX_OK
                : queue_tool_fatal(&survey->tool, EX_TEMPFAIL, "the queue manager's listing ended early: %s",
                                   failure.text);
}

/* ---- options */

static int usage(const struct survey *survey) {
    return queue_tool_fatal(
        &survey->tool, EX_USAGE,
        "usage: %s [-lps] [-b buckets] [-c directory] [-m subdomains] [-t minutes] [-w width] [queue...]",
        survey->tool.program);
}

static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *number) {
    return str_to_u64(str_from(text), most, number) && *number >= least;
}

static bool read_option(struct survey *survey, int letter) {
    uint64_t number = 0;
    switch (letter) {
    case 'c':
        survey->tool.config_directory = optarg;
        return true;
    case 'l':
        survey->shape.linear = true;
        return true;
    case 'p':
        survey->shape.parents = true;
        return true;
    case 's':
        survey->by_sender = true;
        return true;
    case 'N':
    case 'n':
        return true; /* how often qshape refreshes: this is done in one go */
    case 'b':
        if (!read_number(optarg, 2, QUEUE_SHAPE_BUCKETS, &number)) return false;
        survey->shape.buckets = (unsigned)number;
        return true;
    case 'm':
        return read_number(optarg, 1, 1000000, &survey->shape.parent_minimum);
    case 't':
        if (!read_number(optarg, 1, 1000000, &number)) return false;
        survey->shape.first_minutes = (int64_t)number;
        return true;
    case 'w':
        if (!read_number(optarg, 20, 10000, &number)) return false;
        survey->shape.width = (unsigned)number;
        return true;
    default:
        return false;
    }
}

static int read_options(struct survey *survey, int count, char **words) {
    for (int letter; (letter = getopt(count, words, "b:c:lm:n:N:pst:w:")) != -1;)
        if (!read_option(survey, letter)) return usage(survey);
    if (optind == count) buf_append(&survey->queues, STR("incoming active"));
    for (int i = optind; i < count; i++) {
        static const char *const known[] = {"hold", "incoming", "active", "deferred"};
        bool good = false;
        for (size_t k = 0; k < ARRAY_LENGTH(known); k++)
            good = good || strcmp(words[i], known[k]) == 0;
        if (!good)
            return queue_tool_fatal(&survey->tool, EX_USAGE, "\"%s\" is no queue: hold, incoming, active, deferred",
                                    words[i]);
        buf_printf(&survey->queues, "%s%s", survey->queues.length ? " " : "", words[i]);
    }
    survey->selection.queues = buf_str(&survey->queues);
    return EX_OK;
}

int main(int count, char **words) {
    struct survey survey = {.tool = {.program = queue_tool_name(words[0])},
                            .shape = {.buckets = 10, .first_minutes = 5, .parent_minimum = 5, .width = 80},
                            .now = clock_date() / CLOCK_SECOND};
    struct buf out = buf_make(0);
    queue_shape_begin(&survey.shape);
    int status = read_options(&survey, count, words);
    if (status == EX_OK) status = queue_tool_load(&survey.tool);
    if (status == EX_OK) status = read_queue(&survey);
    if (status == EX_OK) {
        queue_shape_format(&survey.shape, &out);
        if (fwrite(out.data, 1, out.length, stdout) != out.length || fflush(stdout) != 0)
            status = queue_tool_fatal(&survey.tool, EX_IOERR, "cannot write");
    }
    queue_shape_end(&survey.shape);
    buf_free(&out);
    buf_free(&survey.queues);
    config_free(&survey.tool.config);
    return status;
}
