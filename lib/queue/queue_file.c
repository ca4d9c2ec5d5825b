/* The queue file: header, envelope, events. See queue_file.h for the layout and
 * the states; the records themselves are record.c. */
#include "queue_file.h"
#include "hash.h"
#include "record.h"
#include <errno.h>
#include <inttypes.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC           "tern-queue 1"
#define RECIPIENT_LIMIT ((size_t)1000000)
#define REPORT_LAST     2 /* a probe of a kind that is not known here must not be taken for mail: it is refused */

/* ---- header */

/* The check sum stands last and covers all before it. */
#define HEADER_CRC_OFFSET (QUEUE_HEADER_SIZE - 10)

bool queue_header_format(const struct queue_header *header, char bytes[QUEUE_HEADER_SIZE]) {
    char text[QUEUE_HEADER_SIZE];
    int length = snprintf(text, sizeof text,
                          MAGIC " content %d %" PRIu64 " lines %" PRIu64 " crc32c %08" PRIx32 " envelope %" PRIu64
                                " crc32c %08" PRIx32,
                          QUEUE_HEADER_SIZE, header->content_length, header->content_lines, header->content_crc,
                          header->envelope_length, header->envelope_crc);
    if (length < 0 || length > HEADER_CRC_OFFSET) return false;
    memset(bytes, ' ', QUEUE_HEADER_SIZE);
    memcpy(bytes, text, (size_t)length);
    char sum[16];
    snprintf(sum, sizeof sum, " %08" PRIx32 "\n", crc32c(0, bytes, HEADER_CRC_OFFSET));
    memcpy(bytes + HEADER_CRC_OFFSET, sum, 10);
    return true;
}

static bool read_hex(struct str word, uint32_t *value) {
    if (word.length != 8) return false;
    uint32_t sum = 0;
    for (size_t i = 0; i < 8; i++) {
        char c = word.data[i];
        uint32_t digit = ascii_is_digit(c) ? (uint32_t)(c - '0') : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10) : 16;
        if (digit > 15) return false;
        sum = sum << 4 | digit;
    }
    *value = sum;
    return true;
}

bool queue_header_parse(struct str bytes, struct queue_header *header, struct failure *failure) {
    if (bytes.length < QUEUE_HEADER_SIZE) return failure_set(failure, "shorter than a queue file's header");
    bytes = str_slice(bytes, 0, QUEUE_HEADER_SIZE);
    if (!str_starts(bytes, STR(MAGIC " ")))
        return failure_set(failure, "no queue file, or one that was never committed");
    uint32_t sum;
    if (bytes.data[HEADER_CRC_OFFSET] != ' ' || bytes.data[QUEUE_HEADER_SIZE - 1] != '\n' ||
        !read_hex(str_slice(bytes, HEADER_CRC_OFFSET + 1, HEADER_CRC_OFFSET + 9), &sum) ||
        sum != crc32c(0, bytes.data, HEADER_CRC_OFFSET))
        return failure_set(failure, "the header does not match its check sum");
    struct str rest = str_slice(bytes, sizeof MAGIC, HEADER_CRC_OFFSET), words[13];
    size_t count = 0;
    while (count < ARRAY_LENGTH(words) && str_next_word(&rest, " ", &words[count]))
        count++;
    struct queue_header parsed;
    uint64_t offset;
    if (count != 11 || !str_to_u64(words[1], UINT64_MAX, &offset) || offset != QUEUE_HEADER_SIZE ||
        !str_to_u64(words[2], INT64_MAX / 2, &parsed.content_length) ||
        !str_to_u64(words[4], INT64_MAX, &parsed.content_lines) || !read_hex(words[6], &parsed.content_crc) ||
        !str_to_u64(words[8], QUEUE_ENVELOPE_LIMIT, &parsed.envelope_length) ||
        !read_hex(words[10], &parsed.envelope_crc))
        return failure_set(failure, "the header is not of a form this version knows");
    *header = parsed;
    return true;
}

/* ---- envelope: one record for the message, one for each recipient */

#define BY_TRACE 4 /* beside the mode */

enum record_type { RECORD_MESSAGE = 'm', RECORD_ENVELOPE_RECIPIENT = 'R' };

static void pack_option(struct buf *bytes, enum queue_option option, int64_t value) {
    record_number(bytes, (uint64_t)option);
    record_number(bytes, (uint64_t)value);
}

static void pack_wish(struct buf *bytes, const struct envelope_wish *wish) {
    if (wish->release > 0) pack_option(bytes, QUEUE_OPTION_RELEASE, wish->release);
    if (wish->by_mode != DELIVER_BY_NOT) {
        pack_option(bytes, QUEUE_OPTION_DELIVER_BY, wish->deliver_by);
        pack_option(bytes, QUEUE_OPTION_BY_MODE, (int64_t)wish->by_mode + (wish->by_trace ? BY_TRACE : 0));
    }
    if (wish->priority) pack_option(bytes, QUEUE_OPTION_PRIORITY, (int64_t)priority_to_number(wish->priority));
    if (wish->tls) pack_option(bytes, QUEUE_OPTION_TLS, wish->tls);
}

bool queue_envelope_pack(const struct queue_envelope *envelope, struct buf *bytes) {
    size_t begin = record_begin(bytes, RECORD_MESSAGE);
    record_text(bytes, envelope->queue_id);
    record_number(bytes, (uint64_t)envelope->arrival);
    record_text(bytes, envelope->sender);
    record_text(bytes, envelope->envelope_id);
    record_number(bytes, envelope->return_content);
    record_number(bytes, envelope->body);
    record_number(bytes, envelope->smtputf8);
    record_text(bytes, envelope->client_name);
    record_text(bytes, envelope->client_address);
    record_text(bytes, envelope->helo);
    record_text(bytes, envelope->protocol);
    record_text(bytes, envelope->login);
    record_text(bytes, envelope->message_id);
    record_number(bytes, envelope->on_hold);
    record_number(bytes, envelope->recipient_count);
    record_number(bytes, envelope->report);
    pack_wish(bytes, &envelope->wish);
    if (!record_end(bytes, begin)) return false;
    for (size_t i = 0; i < envelope->recipient_count; i++) {
        const struct queue_recipient *recipient = &envelope->recipients[i];
        begin = record_begin(bytes, RECORD_ENVELOPE_RECIPIENT);
        record_text(bytes, recipient->address);
        record_text(bytes, recipient->original);
        record_text(bytes, recipient->orcpt);
        record_number(bytes, recipient->notify);
        if (!record_end(bytes, begin)) return false;
    }
    return true;
}

/* A number that must fit a small range; the check sum matched, so a misfit is a file of another make. */
static bool read_small(struct str *fields, uint64_t maximum, unsigned *value) {
    uint64_t number;
    if (!record_read_number(fields, &number) || number > maximum) return false;
    *value = (unsigned)number;
    return true;
}

static bool read_date(struct str *fields, int64_t *date) {
    uint64_t number;
    if (!record_read_number(fields, &number) || number > INT64_MAX) return false;
    *date = (int64_t)number;
    return true;
}

static bool read_copied(struct str *fields, struct arena *arena, struct str *text) {
    struct str borrowed;
    return record_read_text(fields, &borrowed) && arena_copy(arena, borrowed, text);
}

static bool parse_by_mode(struct str *fields, struct envelope_wish *wish) {
    unsigned mode;
    if (!read_small(fields, DELIVER_BY_RETURN + BY_TRACE, &mode) || mode % BY_TRACE > DELIVER_BY_RETURN) return false;
    wish->by_mode = (enum deliver_by_mode)(mode % BY_TRACE);
    wish->by_trace = mode >= BY_TRACE;
    return true;
}

static bool parse_priority(struct str *fields, struct envelope_wish *wish) {
    unsigned number;
    if (!read_small(fields, PRIORITY_COUNT - 1, &number)) return false;
    wish->priority = priority_from_number(number);
    return true;
}

static bool parse_option(struct str *fields, struct envelope_wish *wish) {
    unsigned option;
    if (!read_small(fields, QUEUE_OPTION_TLS, &option)) return false;
    switch ((enum queue_option)option) {
    case QUEUE_OPTION_RELEASE:
        return read_date(fields, &wish->release);
    case QUEUE_OPTION_DELIVER_BY:
        return read_date(fields, &wish->deliver_by);
    case QUEUE_OPTION_BY_MODE:
        return parse_by_mode(fields, wish);
    case QUEUE_OPTION_PRIORITY:
        return parse_priority(fields, wish);
    case QUEUE_OPTION_TLS:
        return read_small(fields, TLS_WISH_ALL, &wish->tls);
    }
    return false;
}

static bool parse_message(struct str fields, struct arena *arena, struct queue_envelope *envelope) {
    unsigned smtputf8, on_hold, count, report = 0;
    if (!read_copied(&fields, arena, &envelope->queue_id) || !read_date(&fields, &envelope->arrival) ||
        !read_copied(&fields, arena, &envelope->sender) || !read_copied(&fields, arena, &envelope->envelope_id) ||
        !read_small(&fields, 2, &envelope->return_content) || !read_small(&fields, 2, &envelope->body) ||
        !read_small(&fields, 1, &smtputf8) || !read_copied(&fields, arena, &envelope->client_name) ||
        !read_copied(&fields, arena, &envelope->client_address) || !read_copied(&fields, arena, &envelope->helo) ||
        !read_copied(&fields, arena, &envelope->protocol) || !read_copied(&fields, arena, &envelope->login) ||
        !read_copied(&fields, arena, &envelope->message_id) || !read_small(&fields, 1, &on_hold) ||
        !read_small(&fields, RECIPIENT_LIMIT, &count))
        return false;
    /* Files from before there were reports end here, those from before there were options after it. */
    if (fields.length && !read_small(&fields, REPORT_LAST, &report)) return false;
    while (fields.length)
        if (!parse_option(&fields, &envelope->wish)) return false;
    envelope->next_attempt = envelope->wish.release;
    envelope->report = report;
    envelope->smtputf8 = smtputf8;
    envelope->on_hold = on_hold;
    envelope->recipient_count = count;
    return true;
}

static bool parse_recipient(struct str fields, struct arena *arena, struct queue_recipient *recipient) {
    return read_copied(&fields, arena, &recipient->address) && read_copied(&fields, arena, &recipient->original) &&
           read_copied(&fields, arena, &recipient->orcpt) && read_small(&fields, 15, &recipient->notify);
}

/* ---- events */

bool queue_event_pack(const struct queue_event *event, struct buf *bytes) {
    size_t begin = record_begin(bytes, (char)event->type);
    record_number(bytes, (uint64_t)(event->when < 0 ? 0 : event->when));
    switch (event->type) {
    case EVENT_RECIPIENT:
        record_number(bytes, event->index);
        record_number(bytes, event->state);
        record_number(bytes, event->action);
        record_text(bytes, event->status);
        record_text(bytes, event->reason);
        record_text(bytes, event->remote_mta);
        record_text(bytes, event->diagnostic);
        break;
    case EVENT_SCHEDULE:
        record_number(bytes, event->attempts);
        break;
    case EVENT_DELAY_NOTICE:
    case EVENT_EXPIRE:
    case EVENT_REPORT:
    case EVENT_LATE_NOTICE:
        record_number(bytes, event->state);
        break;
    }
    return record_end(bytes, begin);
}

static bool apply_recipient(struct str fields, int64_t when, struct arena *arena, struct queue_envelope *envelope) {
    uint64_t index;
    unsigned state, action;
    if (!record_read_number(&fields, &index) || index >= envelope->recipient_count || !read_small(&fields, 3, &state) ||
        !read_small(&fields, 8, &action))
        return false;
    struct queue_recipient *recipient = &envelope->recipients[index];
    recipient->state = state;
    recipient->action = action;
    recipient->last_attempt = when;
    return read_copied(&fields, arena, &recipient->status) && read_copied(&fields, arena, &recipient->reason) &&
           read_copied(&fields, arena, &recipient->remote_mta) && read_copied(&fields, arena, &recipient->diagnostic);
}

/* An event of an unknown type is passed over: a later version wrote it. */
static bool apply_event(char type, struct str fields, struct arena *arena, struct queue_envelope *envelope) {
    int64_t when;
    unsigned number;
    if (!read_date(&fields, &when)) return false;
    if (type == EVENT_RECIPIENT) return apply_recipient(fields, when, arena, envelope);
    if (!read_small(&fields, 1000000, &number)) return false;
    if (type == EVENT_SCHEDULE) {
        envelope->next_attempt = when;
        envelope->attempts = number;
    } else if (type == EVENT_DELAY_NOTICE) {
        envelope->delay_notice = when;
    } else if (type == EVENT_EXPIRE) {
        envelope->force_expire = true;
    } else if (type == EVENT_REPORT) {
        envelope->report_sent = when;
    } else if (type == EVENT_LATE_NOTICE) {
        envelope->late_notice = when;
    }
    return true;
}

bool queue_envelope_parse(struct str envelope_bytes, struct str event_bytes, struct arena *arena,
                          struct queue_envelope *envelope, size_t *used, struct failure *failure) {
    struct queue_envelope parsed = {.arrival = 0};
    struct str rest = envelope_bytes, fields;
    char type;
    if (!record_next(&rest, &type, &fields) || type != RECORD_MESSAGE || !parse_message(fields, arena, &parsed))
        return failure_set(failure, "the envelope does not begin with a message record");
    /* Each recipient's record takes at least its frame, which bounds the allocation by the file's size. */
    if (parsed.recipient_count > rest.length / RECORD_FRAME_SIZE)
        return failure_set(failure, "the envelope has fewer recipients than it says");
    parsed.recipients =
        arena_allocate(arena, parsed.recipient_count ? parsed.recipient_count : 1, sizeof *parsed.recipients);
    if (!parsed.recipients) return failure_set(failure, "the envelope is too large");
    for (size_t i = 0; i < parsed.recipient_count; i++)
        if (!record_next(&rest, &type, &fields) || type != RECORD_ENVELOPE_RECIPIENT ||
            !parse_recipient(fields, arena, &parsed.recipients[i]))
            return failure_set(failure, "recipient %zu of the envelope is damaged", i);
    rest = event_bytes;
    while (record_next(&rest, &type, &fields))
        if (!apply_event(type, fields, arena, &parsed)) return failure_set(failure, "an event record is damaged");
    /* A torn one is the last: behind one that was altered stands what has been delivered since. */
    struct str behind = rest;
    if (record_skip(&behind) && record_next(&behind, &type, &fields))
        return failure_set(failure, "an event record does not match its check sum");
    *used = event_bytes.length - rest.length;
    *envelope = parsed;
    return true;
}

/* ---- files */

/* Reads exactly length bytes at an offset; a shorter file is no local fault. */
static bool read_exactly(int file, void *data, size_t length, uint64_t offset, struct failure *failure) {
    size_t have = 0;
    while (have < length) {
        ssize_t got = pread(file, (char *)data + have, length - have, (off_t)(offset + have));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return failure_set_errno(failure, errno, "cannot read the queue file");
        if (got == 0) return failure_set(failure, "the queue file is cut short");
        have += (size_t)got;
    }
    return true;
}

bool queue_file_read(int file, struct arena *arena, struct queue_header *header, struct queue_envelope *envelope,
                     uint64_t *events_end, struct failure *failure) {
    struct stat status;
    if (fstat(file, &status) < 0) return failure_set_errno(failure, errno, "cannot look at the queue file");
    if (!S_ISREG(status.st_mode)) return failure_set(failure, "not a plain file");
    char header_bytes[QUEUE_HEADER_SIZE];
    struct queue_header parsed = {0};
    if (!read_exactly(file, header_bytes, sizeof header_bytes, 0, failure) ||
        !queue_header_parse(str_make(header_bytes, sizeof header_bytes), &parsed, failure))
        return false;
    uint64_t envelope_offset = QUEUE_HEADER_SIZE + parsed.content_length;
    uint64_t size = (uint64_t)status.st_size;
    if (envelope_offset + parsed.envelope_length > size) return failure_set(failure, "the queue file is cut short");
    uint64_t tail = size - envelope_offset;
    if (tail > 2 * QUEUE_ENVELOPE_LIMIT) return failure_set(failure, "the queue file has too many events");
    char *bytes = memory_allocate(tail ? (size_t)tail : 1, 1);
    size_t used = 0;
    bool good = read_exactly(file, bytes, (size_t)tail, envelope_offset, failure);
    if (good && crc32c(0, bytes, (size_t)parsed.envelope_length) != parsed.envelope_crc)
        good = failure_set(failure, "the envelope does not match its check sum");
    if (good)
        good = queue_envelope_parse(str_make(bytes, (size_t)parsed.envelope_length),
                                    str_make(bytes + parsed.envelope_length, (size_t)(tail - parsed.envelope_length)),
                                    arena, envelope, &used, failure);
    MEMORY_FREE(bytes);
    if (!good) return false;
    *header = parsed;
    *events_end = envelope_offset + parsed.envelope_length + used;
    return true;
}

bool queue_file_sum_content(int file, uint64_t length, uint32_t *sum, struct failure *failure) {
    char small[16384];
    size_t room = length <= sizeof small ? sizeof small : (size_t)1 << 18;
    char *bytes = length <= sizeof small ? small : memory_allocate(room, 1);
    uint32_t so_far = 0;
    bool good = true;
    for (uint64_t done = 0; good && done < length;) {
        size_t part = length - done < room ? (size_t)(length - done) : room;
        good = read_exactly(file, bytes, part, QUEUE_HEADER_SIZE + done, failure);
        if (good) so_far = crc32c(so_far, bytes, part);
        done += part;
    }
    if (bytes != small) MEMORY_FREE(bytes);
    if (good) *sum = so_far;
    return good;
}

bool queue_file_check_content(int file, const struct queue_header *header, struct failure *failure) {
    uint32_t sum;
    if (!queue_file_sum_content(file, header->content_length, &sum, failure)) return false;
    if (sum != header->content_crc) return failure_set(failure, "the content does not match its check sum");
    return true;
}
