/* ternqueue: looks at the queue and has it tried now. For everybody; also called mailq
 * and postqueue. */
#include "queue_id.h"
#include "queue_listing.h"
#include "queue_source.h"
#include "queue_tool.h"
#include <errno.h>
#include <sysexits.h>
#include <unistd.h>

#define PATIENCE 60000 /* ms */
#define WRITE_AT ((size_t)65536)

enum mode { MODE_NONE, MODE_LIST, MODE_JSON, MODE_FLUSH, MODE_FLUSH_ID, MODE_FLUSH_SITE };

struct options {
    enum mode mode;
    const char *value; /* -i, -s */
};

/* ---- listing */

struct report {
    bool json;
    struct queue_listing listing;
    struct buf out;
    bool failed;
};

static bool write_out(struct report *report) {
    if (report->out.length && fwrite(report->out.data, 1, report->out.length, stdout) != report->out.length)
        report->failed = true;
    buf_clear(&report->out);
    return !report->failed;
}

static bool show_row(const struct ipc_queued *row, void *context) {
    struct report *report = context;
    if (!report->json)
        queue_listing_message(&report->listing, row, &report->out);
    else if (!queue_listing_json(row, &report->out))
        report->failed = true;
    return !report->failed && (report->out.length < WRITE_AT || write_out(report));
}

/* With the folders' own rights only: this command has none to lend. */
static int list_folders(const struct queue_tool *tool, struct report *report) {
    struct failure failure = {0};
    uint64_t unread = 0;
    int queue = queue_tool_open_queue(&failure);
    if (queue < 0 && (failure.error_number == EACCES || failure.error_number == ENOENT))
        return queue_tool_fatal(tool, EX_UNAVAILABLE, "Queue report unavailable - mail system is down");
    bool good = queue >= 0 && queue_tool_become_owner(queue, &failure) &&
                queue_source_folders(queue, show_row, report, &unread, &failure);
    if (queue >= 0) close(queue);
    if (!good)
        return queue_tool_fatal(tool, EX_UNAVAILABLE, "Mail system is down, and the queue does not read: %s",
                                failure.text);
    queue_tool_warn(tool, "Mail system is down -- accessing queue directly");
    if (unread) queue_tool_warn(tool, "%llu files are no whole messages: see ternsuper -s", (unsigned long long)unread);
    return EX_OK;
}

static int list_queue(const struct queue_tool *tool, bool json) {
    struct report report = {
        .json = json, .listing = {.long_ids = tool->config->enable_long_queue_ids}, .out = buf_make(0)};
    struct failure failure = {0};
    int status = EX_OK;
    int socket = queue_tool_connect(&failure);
    if (socket < 0)
        status = list_folders(tool, &report);
    else if (!queue_source_server(socket, show_row, &report, &failure))
        status = queue_tool_fatal(tool, EX_TEMPFAIL, "the queue manager's listing ended early: %s", failure.text);
    if (socket >= 0) close(socket);
    if (status == EX_OK && !json) queue_listing_end(&report.listing, &report.out);
    if ((!write_out(&report) || fflush(stdout) != 0) && status == EX_OK)
        status = queue_tool_fatal(tool, EX_IOERR, "cannot write the listing");
    buf_free(&report.out);
    return status;
}

/* ---- flushing */

static int flush(const struct queue_tool *tool, const struct ipc_qmgr_flush *wish) {
    struct failure failure = {0};
    struct ipc_reply reply = {.descriptor = -1};
    int socket = queue_tool_connect(&failure);
    if (socket < 0) return queue_tool_fatal(tool, EX_UNAVAILABLE, "Cannot flush mail queue - mail system is down");
    struct arena *arena = arena_create(0);
    enum ipc_result result =
        ipc_ask_blocking(socket, IPC_QMGR_FLUSH, wish, -1, IPC_DONE, PATIENCE, arena, &reply, &failure);
    arena_destroy(&arena);
    close(socket);
    if (result == IPC_REFUSED) return queue_tool_fatal(tool, EX_NOPERM, "Cannot flush mail queue: %s", failure.text);
    if (result != IPC_OK) return queue_tool_fatal(tool, EX_TEMPFAIL, "Cannot flush mail queue: %s", failure.text);
    if (tool->verbose) queue_tool_say(tool, "the queue manager has taken the wish");
    return EX_OK;
}

static int flush_id(const struct queue_tool *tool, struct str id) {
    if (!queue_id_is_valid(id))
        return queue_tool_fatal(tool, EX_USAGE, "Cannot flush mail queue - invalid queue ID: \"%.*s\"", STR_ARGS(id));
    return flush(tool, &(struct ipc_qmgr_flush){.queue_id = id});
}

static int flush_site(const struct queue_tool *tool, struct str site) {
    if (site.length == 0 || site.length > 255 || !str_is_printable(site) || str_find(site, ' ') != STR_NONE)
        return queue_tool_fatal(tool, EX_USAGE, "Cannot flush mail queue - invalid destination: \"%.*s\"",
                                STR_ARGS(site));
    return flush(tool, &(struct ipc_qmgr_flush){.site = site});
}

/* ---- options */

static int usage(const struct queue_tool *tool) {
    return queue_tool_fatal(
        tool, EX_USAGE,
        "usage: %1$s [-c directory] [-v] -f | %1$s ... -i queueid | %1$s ... -j | %1$s ... -p | %1$s ... -s site",
        tool->program);
}

static int read_options(struct queue_tool *tool, struct options *options, int count, char **words) {
    enum mode mode;
    for (int letter; (letter = getopt(count, words, "c:fi:jps:v")) != -1;) {
        switch (letter) {
        case 'c':
            tool->config_directory = optarg;
            continue;
        case 'v':
            tool->verbose = true;
            continue;
        case 'f':
            mode = MODE_FLUSH;
            break;
        case 'i':
            mode = MODE_FLUSH_ID;
            break;
        case 'j':
            mode = MODE_JSON;
            break;
        case 'p':
            mode = MODE_LIST;
            break;
        case 's':
            mode = MODE_FLUSH_SITE;
            break;
        default:
            return usage(tool);
        }
        if (options->mode != MODE_NONE && options->mode != mode) return usage(tool);
        options->mode = mode;
        if (optarg) options->value = optarg;
    }
    if (options->mode == MODE_NONE && strcmp(tool->program, "mailq") == 0) options->mode = MODE_LIST;
    return optind < count ? usage(tool) : EX_OK;
}

static int run(const struct queue_tool *tool, const struct options *options) {
    switch (options->mode) {
    case MODE_LIST:
        return list_queue(tool, false);
    case MODE_JSON:
        return list_queue(tool, true);
    case MODE_FLUSH:
        return flush(tool, &(struct ipc_qmgr_flush){.queue_id = STR_EMPTY});
    case MODE_FLUSH_ID:
        return flush_id(tool, str_from(options->value));
    case MODE_FLUSH_SITE:
        return flush_site(tool, str_from(options->value));
    case MODE_NONE:
        break;
    }
    return usage(tool);
}

int main(int count, char **words) {
    struct queue_tool tool = {.program = queue_tool_name(words[0])};
    struct options options = {.mode = MODE_NONE};
    int status = read_options(&tool, &options, count, words);
    if (status == EX_OK && options.mode == MODE_NONE) status = usage(&tool);
    if (status == EX_OK) status = queue_tool_load(&tool);
    if (status == EX_OK) status = run(&tool, &options);
    config_free(&tool.config);
    return status;
}
