/* fill_queue: fills cur/ of a stopped private instance with deferred messages, as qmgr leaves
 * them after a first attempt that met nobody: for measuring what a large queue costs.
 *
 * One recipient a message, in turn in the domains d0.test, d1.test ...; the next attempts are
 * spread evenly over the days that follow. Nothing is synced but the index when it is closed:
 * a bench's queue may be lost. */
#include "clock.h"
#include "delivery.h"
#include "hash.h"
#include "queue_file.h"
#include "queue_id.h"
#include "queue_tool.h"
#include "schedule.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#define COMMIT_EVERY 256 /* as many as qmgr writes in one go when it fills the index */
#define SIZE_LIMIT   ((uint64_t)1 << 20)
#define FIRST_AFTER  7200 /* seconds: nothing is due while something is measured */

struct filling {
    uint64_t count, domains, size, days;
    bool index;
    bool long_form;
    int cur;
    struct schedule *schedule; /* NULL: there is no index, or not all of cur/ would be in it */
    struct queue_id_source ids;
    struct buf content, envelope, file;
    struct queue_header header; /* what it says of the content is the same for all */
};

static const char usage[] = "usage: fill_queue -c CONFIG_DIRECTORY -n MESSAGES [-d DOMAINS] [-s CONTENT_BYTES] "
                            "[-D DAYS] [-x (no schedule index)]\n";

static bool read_number(const char *text, uint64_t lowest, uint64_t highest, uint64_t *number) {
    return str_to_u64(str_from(text), highest, number) && *number >= lowest;
}

static bool read_options(int count, char **arguments, struct filling *fill, struct queue_tool *tool) {
    bool good = true;
    *fill = (struct filling){.domains = 1, .size = 2048, .days = 4, .index = true, .cur = -1};
    for (int option; good && (option = getopt(count, arguments, "c:n:d:s:D:x")) != -1;) {
        if (option == 'c')
            tool->config_directory = optarg;
        else if (option == 'n')
            good = read_number(optarg, 1, 100000000, &fill->count);
        else if (option == 'd')
            good = read_number(optarg, 1, 10000000, &fill->domains);
        else if (option == 's')
            good = read_number(optarg, 1, SIZE_LIMIT, &fill->size);
        else if (option == 'D')
            good = read_number(optarg, 1, 1000, &fill->days);
        else if (option == 'x')
            fill->index = false;
        else
            good = false;
    }
    return good && optind == count && fill->count && tool->config_directory;
}

/* ---- the content: one for all */

static void make_content(struct filling *fill) {
    struct buf *content = &fill->content;
    buf_printf(content, "From: <bench@sender.test>\nTo: undisclosed-recipients:;\nSubject: deferred\n"
                        "Date: Sat, 1 Jan 2022 00:00:00 +0000\nMessage-ID: <deferred@sender.test>\n\n");
    while (content->length < fill->size)
        buf_append(content, STR("It waits for its next attempt, as all of them do, for a day or for two.\n"));
    for (size_t i = 0; i < content->length; i++)
        if (content->data[i] == '\n') fill->header.content_lines++;
    fill->header.content_length = content->length;
    fill->header.content_crc = crc32c(0, content->data, content->length);
}

/* ---- one message */

struct deferred {
    char queue_id[QUEUE_ID_SIZE];
    char address[64];
    struct str domain;
    int64_t arrival, attempt; /* microseconds */
    int64_t next;             /* seconds */
};

static void name_recipient(struct deferred *message, uint64_t number, const struct filling *fill) {
    snprintf(message->address, sizeof message->address, "u%llu@d%llu.test", (unsigned long long)(number % 1000),
             (unsigned long long)(number % fill->domains));
    struct str address = str_from(message->address);
    message->domain = str_from_offset(address, str_find_last(address, '@') + 1);
}

static bool pack_envelope(struct filling *fill, const struct deferred *message) {
    struct queue_recipient recipient = {.address = str_from(message->address)};
    struct queue_envelope envelope = {.queue_id = str_from(message->queue_id),
                                      .arrival = message->arrival,
                                      .sender = STR("bench@sender.test"),
                                      .client_name = STR("localhost"),
                                      .client_address = STR("127.0.0.1"),
                                      .helo = STR("client.test"),
                                      .protocol = STR("ESMTP"),
                                      .message_id = STR("<deferred@sender.test>"),
                                      .recipients = &recipient,
                                      .recipient_count = 1};
    buf_clear(&fill->envelope);
    if (!queue_envelope_pack(&envelope, &fill->envelope)) return false;
    fill->header.envelope_length = fill->envelope.length;
    fill->header.envelope_crc = crc32c(0, fill->envelope.data, fill->envelope.length);
    return true;
}

static bool pack_events(struct buf *bytes, const struct deferred *message) {
    const struct queue_event answer = {.type = EVENT_RECIPIENT,
                                       .state = QUEUE_RECIPIENT_WAITING,
                                       .action = DELIVERY_DEFERRED,
                                       .status = STR("4.4.1"),
                                       .reason = STR("connect to 127.0.0.1[127.0.0.1]:10025: Connection refused"),
                                       .when = message->attempt / CLOCK_SECOND};
    const struct queue_event schedule = {.type = EVENT_SCHEDULE, .when = message->next, .attempts = 1};
    return queue_event_pack(&answer, bytes) && queue_event_pack(&schedule, bytes);
}

static bool pack_file(struct filling *fill, const struct deferred *message) {
    char header[QUEUE_HEADER_SIZE];
    buf_clear(&fill->file);
    return pack_envelope(fill, message) && queue_header_format(&fill->header, header) &&
           buf_append_bytes(&fill->file, header, sizeof header) && buf_append(&fill->file, buf_str(&fill->content)) &&
           buf_append(&fill->file, buf_str(&fill->envelope)) && pack_events(&fill->file, message);
}

static bool write_file(const struct filling *fill, const char *name, struct failure *failure) {
    int file = openat(fill->cur, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (file < 0) return failure_set_errno(failure, errno, "cannot make cur/%s", name);
    errno = ENOSPC; /* what a short write means */
    bool good = write(file, fill->file.data, fill->file.length) == (ssize_t)fill->file.length;
    if (!good) failure_set_errno(failure, errno, "cannot write cur/%s", name);
    close(file);
    return good;
}

static bool put_in_index(const struct filling *fill, const struct deferred *message, struct failure *failure) {
    char sites[96]; /* as qmgr/deferred.c has them: the last attempt, and the domains */
    if (!fill->schedule) return true;
    snprintf(sites, sizeof sites, "%lld %.*s", (long long)message->attempt, STR_ARGS(message->domain));
    return schedule_put(fill->schedule, str_from(message->queue_id), message->next, str_from(sites), failure);
}

static bool add_message(struct filling *fill, uint64_t number, int64_t begin, struct failure *failure) {
    struct deferred message = {.attempt = begin, .arrival = begin - CLOCK_SECOND};
    /* Not in the order of arrival: neighbours in time are none in the folder, as in a queue that grew over days. */
    uint64_t place = (uint64_t)(number * (__uint128_t)2654435761U % fill->count);
    message.next = begin / CLOCK_SECOND + FIRST_AFTER + (int64_t)(place * (fill->days * 86400) / fill->count);
    name_recipient(&message, number, fill);
    if (!queue_id_next(&fill->ids, message.queue_id, failure)) return false;
    if (!pack_file(fill, &message)) return failure_set(failure, "a message does not fit");
    return put_in_index(fill, &message, failure) && write_file(fill, message.queue_id, failure);
}

static bool add_messages(struct filling *fill, struct failure *failure) {
    int64_t begin = clock_date();
    for (uint64_t i = 0; i < fill->count; i++) {
        if (!add_message(fill, i, begin, failure)) return false;
        if (fill->schedule && i % COMMIT_EVERY == COMMIT_EVERY - 1 && !schedule_commit(fill->schedule, failure))
            return false;
    }
    return true;
}

/* ---- the instance */

/* Takes master's lock, so that it does not start meanwhile; it goes with this process. */
static bool lock_out_master(struct failure *failure) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int file = open("pid/master.pid", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (file < 0) return failure_set_errno(failure, errno, "cannot open pid/master.pid");
    if (fcntl(file, F_SETLK, &lock) == 0) return true;
    close(file);
    return failure_set(failure, "the mail system is running: stop it first");
}

static bool read_boot_identity(char boot[37], struct failure *failure) {
    int file = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    bool good = file >= 0 && read(file, boot, 36) == 36;
    if (file >= 0) close(file);
    boot[36] = '\0';
    return good || failure_set(failure, "cannot read the boot's identity");
}

static bool cur_has_messages(const struct filling *fill) {
    int copy = openat(fill->cur, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy < 0 ? NULL : fdopendir(copy);
    bool found = false;
    if (!listing && copy >= 0) close(copy);
    for (struct dirent *entry; listing && !found && (entry = readdir(listing)) != NULL;)
        found = queue_id_is_valid(str_from(entry->d_name));
    if (listing) closedir(listing);
    return found;
}

/* An index that is not wanted, or would lack what stands in cur/ already, goes: qmgr makes it anew. */
static bool open_index(struct filling *fill, struct failure *failure) {
    char boot[37];
    bool empty;
    if (!read_boot_identity(boot, failure) ||
        !schedule_open("schedule", str_from(boot), &fill->schedule, &empty, failure))
        return false;
    if (!fill->index || (empty && cur_has_messages(fill))) schedule_discard(&fill->schedule);
    return !fill->schedule || !empty || schedule_filled(fill->schedule, failure);
}

static bool fill_queue(struct filling *fill, struct failure *failure) {
    if (!lock_out_master(failure)) return false;
    int queue = queue_tool_open_queue(failure);
    if (queue < 0 || !queue_tool_become_owner(queue, failure)) return false;
    if (fchdir(queue) < 0) return failure_set_errno(failure, errno, "cannot enter the queue");
    fill->cur = queue_tool_open_folder(queue, "cur", failure);
    bool good = fill->cur >= 0 && queue_id_open(&fill->ids, queue, fill->long_form, failure) &&
                open_index(fill, failure) && add_messages(fill, failure);
    if (good)
        schedule_close(&fill->schedule);
    else /* files that are not in the index would never be looked at */
        schedule_discard(&fill->schedule);
    if (fill->cur >= 0) close(fill->cur);
    close(queue);
    return good;
}

int main(int argument_count, char **arguments) {
    struct filling fill;
    struct queue_tool tool = {.program = "fill_queue"};
    struct failure failure = {0};
    if (!read_options(argument_count, arguments, &fill, &tool)) {
        fputs(usage, stderr);
        return EX_USAGE;
    }
    int status = queue_tool_load(&tool);
    if (status != EX_OK) return status;
    fill.long_form = tool.config->enable_long_queue_ids;
    make_content(&fill);
    if (!fill_queue(&fill, &failure)) status = queue_tool_fatal(&tool, EX_IOERR, "%s", failure.text);
    buf_free(&fill.content);
    buf_free(&fill.envelope);
    buf_free(&fill.file);
    config_free(&tool.config);
    return status;
}
