/* log: the log daemon. Reads every service's pipe, writes the log.
 *
 *   a line from a pipe, and the line it becomes   lib/base/log_line.c
 *   where it goes                                 output.c
 *
 * The pipes are master's and outlive this process: lines wait in them while it
 * is replaced. One read brings many lines, one write takes them out.
 *
 * Every service has its own pipe, so that none can write another's lines; what they
 * wrote is put in order by the dates in the lines. A line waits ORDER_MS for those that
 * were written before it and are still in another pipe. */
#include "output.h"

#include "config.h"
#include "log_line.h"
#include "memory.h"
#include "service.h"
#include "start_arguments.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

#define READ_SIZE      ((size_t)65536)
#define LINE_LIMIT     ((size_t)8192) /* longer ones are cut into several */
#define HOST_LIMIT     256
#define ORDER_MS       5
#define WAITING_LIMIT  ((size_t)1 << 20) /* bytes of lines that wait; then they are written at once */
#define DATE_TOLERANCE (60 * CLOCK_SECOND)

struct source {
    struct log_daemon *daemon;
    struct str tag;
    int descriptor;
    struct loop_watch *watch;
    bool looked_at; /* since the loop last told of it */
    struct buf partial; /* a line whose end has not come yet */
};

/* A line that waits for its turn. */
struct waiting {
    const struct source *source;
    int64_t date;
    size_t number;         /* in order of reading */
    size_t offset, length; /* in the daemon's texts */
};

struct log_daemon {
    struct source *sources;
    struct buf texts;
    struct waiting *waiting;
    size_t waiting_count, waiting_room, lines_read;
    struct loop_timer *timer;
    deadline looked; /* when the pipes were read last */
    size_t source_count;
    struct output output;
    struct record_frame frame;
    struct buf out;
    char *bytes; /* READ_SIZE */
    char host[HOST_LIMIT];
    char tag[64]; /* of its own lines */
};

static struct log_daemon daemon_state; /* the one context this daemon has */

/* ---- lines */

static void write_out(struct log_daemon *daemon, bool *written) {
    *written = daemon->out.length > 0 && output_write(&daemon->output, buf_str(&daemon->out));
    buf_clear(&daemon->out);
}

/* When writing works again, the log says what it lacks. */
static void flush(struct log_daemon *daemon) {
    bool written;
    write_out(daemon, &written);
    if (!written || daemon->output.lost == 0) return;
    char text[80];
    snprintf(text, sizeof text, "warning: %llu bytes of the log could not be written",
             (unsigned long long)daemon->output.lost);
    struct record record = {.severity = RECORD_WARNING, .process = (uint64_t)getpid(), .text = str_from(text)};
    daemon->output.lost = 0;
    record_format(&daemon->frame, str_from(daemon->tag), &record, &daemon->out);
    write_out(daemon, &written);
}

static int compare_waiting(const void *a, const void *b) {
    const struct waiting *first = a, *second = b;
    if (first->date != second->date) return first->date < second->date ? -1 : 1;
    return first->number < second->number ? -1 : first->number > second->number;
}

static void write_waiting(struct log_daemon *daemon, const struct waiting *waiting) {
    struct record record =
        record_parse(str_slice(buf_str(&daemon->texts), waiting->offset, waiting->offset + waiting->length));
    record_set_time(&daemon->frame, waiting->date);
    record_format(&daemon->frame, waiting->source->tag, &record, &daemon->out);
    if (record_form_is_datagram(daemon->frame.form)) flush(daemon);
}

/* Writes the lines dated up to a moment, in order; the others wait on. */
static void write_until(struct log_daemon *daemon, int64_t until) {
    size_t done = 0;
    if (daemon->waiting_count > 1)
        qsort(daemon->waiting, daemon->waiting_count, sizeof *daemon->waiting, compare_waiting);
    while (done < daemon->waiting_count && daemon->waiting[done].date <= until)
        write_waiting(daemon, &daemon->waiting[done++]);
    flush(daemon);
    daemon->waiting_count -= done;
    if (daemon->waiting_count == 0) {
        buf_clear(&daemon->texts);
        return;
    }
    memmove(daemon->waiting, daemon->waiting + done, daemon->waiting_count * sizeof *daemon->waiting);
}

static void on_timer(void *argument) {
    struct log_daemon *daemon = argument;
    loop_timer_stop(&daemon->timer);
    write_until(daemon, clock_date() - ORDER_MS * 500);
    if (daemon->waiting_count > 0) daemon->timer = loop_timer_start(ORDER_MS, 0, on_timer, daemon);
}

static void add_line(struct source *source, struct str line) {
    struct log_daemon *daemon = source->daemon;
    if (line.length == 0) return;
    if (daemon->waiting_count == daemon->waiting_room) {
        daemon->waiting_room = daemon->waiting_room ? daemon->waiting_room * 2 : 64;
        daemon->waiting = memory_resize(daemon->waiting, daemon->waiting_room, sizeof *daemon->waiting);
    }
    /* A service that lies about the date may put its own lines in the wrong place, but not for long. */
    int64_t now = clock_date(), date = record_parse(line).date;
    if (date > now || date < now - DATE_TOLERANCE) date = now;
    daemon->waiting[daemon->waiting_count] = (struct waiting){.source = source,
                                                              .date = date,
                                                              .number = daemon->lines_read++,
                                                              .offset = daemon->texts.length,
                                                              .length = line.length};
    daemon->waiting_count++;
    buf_append(&daemon->texts, line);
    if (daemon->texts.length >= WAITING_LIMIT) write_until(daemon, INT64_MAX);
}

/* Takes the whole lines out of what is there; an overlong one is cut. */
static void take_lines(struct source *source, struct str bytes) {
    struct str line;
    struct str rest;
    while (str_cut(bytes, '\n', &line, &rest)) {
        buf_append(&source->partial, line);
        add_line(source, buf_str(&source->partial));
        buf_clear(&source->partial);
        bytes = rest;
    }
    buf_append(&source->partial, bytes);
    if (source->partial.length >= LINE_LIMIT) {
        add_line(source, buf_str(&source->partial));
        buf_clear(&source->partial);
    }
}

/* One read; false when nothing (more) is there. */
static bool read_source(struct source *source) {
    ssize_t got = read(source->descriptor, source->daemon->bytes, READ_SIZE);
    if (got < 0 && errno == EINTR) return true;
    if (got == 0) /* the service is gone for good */
        loop_watch_stop(&source->watch);
    if (got <= 0) return false;
    take_lines(source, str_make(source->daemon->bytes, (size_t)got));
    return true;
}

/* A busy server writes some line every moment. Lines wait for their order anyhow, so the pipes are looked
 * at once in that time and all that has come is taken together: a wake-up for many lines, not for each. */
static void let_lines_gather(struct log_daemon *daemon) {
    int64_t left = daemon->looked + ORDER_MS - clock_monotonic();
    if (left > 0 && left <= ORDER_MS) nanosleep(&(struct timespec){.tv_nsec = left * 1000000}, NULL);
    daemon->looked = clock_monotonic();
}

/* The loop may still have to tell of the other pipes what was true before this look. */
static void look_at_all(struct log_daemon *daemon, const struct source *told) {
    for (size_t i = 0; i < daemon->source_count; i++) {
        struct source *source = &daemon->sources[i];
        if (!source->watch) continue;
        source->looked_at = source != told;
        read_source(source);
    }
}

static void source_readable(int descriptor, void *argument) {
    struct source *source = argument;
    struct log_daemon *daemon = source->daemon;
    (void)descriptor;
    if (source->looked_at) {
        source->looked_at = false;
        return;
    }
    let_lines_gather(daemon);
    look_at_all(daemon, source);
    if (!daemon->timer) daemon->timer = loop_timer_start(ORDER_MS, 0, on_timer, daemon);
}

/* ---- the daemon */

static unsigned facility_number(struct str name) {
    static const char *const names[] = {"kern",   "user",   "mail",   "daemon", "auth",     "syslog",
                                        "lpr",    "news",   "uucp",   "cron",   "authpriv", "ftp",
                                        "",       "",       "",       "",       "local0",   "local1",
                                        "local2", "local3", "local4", "local5", "local6",   "local7"};
    for (unsigned i = 0; i < ARRAY_LENGTH(names); i++)
        if (str_equal(name, str_from(names[i]))) return i;
    return 2; /* mail */
}

static enum record_form form_of(const struct config *config) {
    bool json = str_equal(config->log_format, STR("json")), syslog = config->maillog_file.length == 0;
    if (syslog) return json ? RECORD_FORM_SYSLOG_JSON : RECORD_FORM_SYSLOG;
    return json ? RECORD_FORM_JSON : RECORD_FORM_TEXT;
}

/* The log's host is the first label of the machine's name, as syslog has it. */
static void read_host(struct log_daemon *daemon) {
    if (gethostname(daemon->host, sizeof daemon->host - 1) < 0) daemon->host[0] = '\0';
    daemon->host[strcspn(daemon->host, ".")] = '\0';
    daemon->frame.host = str_from(daemon->host[0] != '\0' ? daemon->host : "localhost");
}

static bool prepare(struct service *service, struct failure *failure) {
    struct log_daemon *daemon = &daemon_state;
    service_set_context(service, daemon);
    const struct config *config = service_config(service);
    tzset(); /* the time zone's file is out of reach later */
    read_host(daemon);
    daemon->frame.second = -1;
    daemon->frame.form = form_of(config);
    daemon->frame.facility = facility_number(config->syslog_facility);
    daemon->bytes = memory_allocate(1, READ_SIZE);
    snprintf(daemon->tag, sizeof daemon->tag, "%.*s/log", STR_ARGS(config->syslog_name));
    return output_open(&daemon->output, config->maillog_file, failure);
}

/* The inherited descriptors from INHERITED_LISTEN on are the pipes, in the order of the tags. */
static void take_pipes(struct log_daemon *daemon, const struct start_arguments *arguments) {
    daemon->source_count = arguments->word_count < arguments->listeners ? arguments->word_count : arguments->listeners;
    daemon->sources = memory_allocate(daemon->source_count, sizeof *daemon->sources);
    for (size_t i = 0; i < daemon->source_count; i++)
        daemon->sources[i] = (struct source){
            .daemon = daemon, .tag = str_from(arguments->words[i]), .descriptor = INHERITED_LISTEN + (int)i};
}

static bool start(struct service *service, struct failure *failure) {
    struct log_daemon *daemon = service_context(service);
    (void)failure;
    for (size_t i = 0; i < daemon->source_count; i++)
        daemon->sources[i].watch =
            loop_watch_readable(daemon->sources[i].descriptor, source_readable, &daemon->sources[i]);
    return true;
}

/* Stopping: what is in the pipes is written before this process ends. */
static void drain(struct service *service) {
    struct log_daemon *daemon = service_context(service);
    for (size_t i = 0; i < daemon->source_count; i++) {
        while (read_source(&daemon->sources[i]))
            continue;
        loop_watch_stop(&daemon->sources[i].watch);
    }
    write_until(daemon, INT64_MAX);
}

static void tick(struct service *service) {
    struct log_daemon *daemon = service_context(service);
    output_look_again(&daemon->output);
    /* master starts the next one, and the lines wait in the pipes. */
    if (daemon->output.deserted) loop_stop();
}

int main(int count, char **words) {
    static const struct service_declaration declaration = {.program = "log",
                                                           .survives_master = true,
                                                           .prepare = prepare,
                                                           .start = start,
                                                           .tick = tick,
                                                           .drain = drain,
                                                           .session_limit = 1};
    struct start_arguments arguments = {0};
    struct failure failure = {0};
    if (!start_arguments_read(count, words, &arguments, &failure)) {
        fprintf(stderr, "log: %s\n", failure.text);
        return EXIT_FAILURE;
    }
    take_pipes(&daemon_state, &arguments);
    return service_run(count, words, &declaration);
}
