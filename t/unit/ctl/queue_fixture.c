/* A queue made by hand: see queue_fixture.h. */
#include "queue_fixture.h"
#include "clock.h"
#include "delivery.h"
#include "hash.h"
#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

bool fixture_make(struct queue_fixture *fixture) {
    static const char *const folders[] = {"tmp", "new", "cur", "hold", "corrupt"};
    snprintf(fixture->path, sizeof fixture->path, "/tmp/tern-queue-XXXXXX");
    if (!mkdtemp(fixture->path)) return false;
    fixture->queue = open(fixture->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (size_t i = 0; i < ARRAY_LENGTH(folders); i++)
        if (mkdirat(fixture->queue, folders[i], 0700) < 0) return false;
    return fixture->queue >= 0;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *where) {
    (void)status, (void)kind, (void)where;
    return remove(path);
}

void fixture_remove(struct queue_fixture *fixture) {
    close(fixture->queue);
    nftw(fixture->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static bool pack_reason(const struct fixture_message *message, struct buf *bytes) {
    struct queue_event event = {.type = EVENT_RECIPIENT,
                                .state = QUEUE_RECIPIENT_WAITING,
                                .action = DELIVERY_DEFERRED,
                                .status = STR("4.4.1"),
                                .reason = str_from(message->reason),
                                .when = message->arrival + 5};
    return !message->reason || queue_event_pack(&event, bytes);
}

bool fixture_add(struct queue_fixture *fixture, const struct fixture_message *message) {
    struct queue_recipient recipient = {.address = str_from(message->recipient),
                                        .original = str_from(message->original)};
    struct queue_envelope envelope = {.queue_id = str_from(message->id),
                                      .arrival = message->arrival * CLOCK_SECOND,
                                      .sender = str_from(message->sender),
                                      .recipients = &recipient,
                                      .recipient_count = 1};
    struct str content = str_from(message->content);
    struct buf bytes = buf_make(0), events = buf_make(0);
    char header_bytes[QUEUE_HEADER_SIZE], path[64];
    bool good = queue_envelope_pack(&envelope, &bytes) && pack_reason(message, &events);
    struct queue_header header = {.content_length = content.length,
                                  .content_lines = 1,
                                  .content_crc = crc32c(0, content.data, content.length),
                                  .envelope_length = bytes.length,
                                  .envelope_crc = crc32c(0, bytes.data, bytes.length)};
    good = good && queue_header_format(&header, header_bytes);
    snprintf(path, sizeof path, "%s/%s", message->folder, message->id);
    int file = openat(fixture->queue, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    good = good && file >= 0 && write(file, header_bytes, sizeof header_bytes) == (ssize_t)sizeof header_bytes &&
           write(file, content.data, content.length) == (ssize_t)content.length &&
           write(file, bytes.data, bytes.length) == (ssize_t)bytes.length &&
           (events.length == 0 || write(file, events.data, events.length) == (ssize_t)events.length);
    if (file >= 0) close(file);
    buf_free(&bytes);
    buf_free(&events);
    return good;
}

bool fixture_damage(struct queue_fixture *fixture, const char *path, int64_t offset) {
    char byte;
    int file = openat(fixture->queue, path, O_RDWR | O_CLOEXEC);
    bool good = file >= 0 && pread(file, &byte, 1, offset) == 1;
    byte = (char)(byte ^ 1);
    good = good && pwrite(file, &byte, 1, offset) == 1;
    if (file >= 0) close(file);
    return good;
}

bool fixture_has(const struct queue_fixture *fixture, const char *path) {
    return faccessat(fixture->queue, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

bool fixture_write(struct queue_fixture *fixture, const char *path, const char *text, int64_t age_seconds) {
    struct timespec times[2] = {{.tv_sec = time(NULL) - age_seconds}, {.tv_sec = time(NULL) - age_seconds}};
    int file = openat(fixture->queue, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    bool good = file >= 0 && write(file, text, strlen(text)) == (ssize_t)strlen(text) && futimens(file, times) == 0;
    if (file >= 0) close(file);
    return good;
}
