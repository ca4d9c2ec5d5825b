/* See fetch_message.h. */
#include "fetch_message.h"

#include <openssl/evp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept_fields.h"
#include "message_file.h"

#define FIELDS_USUAL 2048          /* octets: so much is allocated at once */
#define READ_MAX ((size_t)262144) /* octets of a file from which on it is mapped */

void fetch_message_begin(struct fetch_message *message, struct imap_session *session, uint32_t sequence) {
    *message = (struct fetch_message){.session = session, .sequence = sequence};
    folder_message(session->folder, sequence, &message->facts);
}

void fetch_message_begin_known(struct fetch_message *message, struct imap_session *session, uint32_t sequence) {
    *message = (struct fetch_message){.session = session, .sequence = sequence};
    folder_message_known(session->folder, sequence, &message->facts);
}

void fetch_message_end(struct fetch_message *message) {
    if (message->mapped) munmap((void *)(uintptr_t)message->bytes.data, message->bytes.length);
    buf_free(&message->record);
    buf_free(&message->fields);
    MEMORY_FREE(message->parts);
    if (cache_is_heavy(message->session->store)) cache_flush(message->session->store);
}

/* Reading is cheaper than mapping as long as messages are small: no page faults, no other processors to be told of an
 * unmapping. False: it is larger than its record says, or cannot be read. */
static bool read_small(struct fetch_message *message, int file) {
    struct buf *bytes = &message->session->file;
    if (!message_file_read(file, READ_WAITING, message->facts.size, READ_MAX, bytes)) return false;
    message->bytes = buf_str(bytes);
    return true;
}

static void map_file(struct fetch_message *message, int file) {
    struct stat status;
    if (fstat(file, &status) < 0) return;
    size_t size = (size_t)status.st_size;
    void *map = size ? mmap(NULL, size, PROT_READ, MAP_PRIVATE | (size < READ_MAX ? MAP_POPULATE : 0), file, 0) : NULL;
    if (size == 0) {
        message->bytes = STR_EMPTY;
    } else if (map != MAP_FAILED) {
        message->bytes = str_make(map, size);
        message->mapped = true;
    }
}

/* What was not known of the file, and is now. */
static void note_look(struct fetch_message *message, int64_t date, uint64_t size) {
    struct folder_message *facts = &message->facts;
    if (facts->internal_date == FOLDER_DATE_UNKNOWN) facts->internal_date = date;
    facts->size = size;
    folder_note_look(message->session->folder, facts->uid, facts->internal_date, facts->size);
}

/* What is not known of the file yet, while it is open. */
static void look_at_file(struct fetch_message *message, int file) {
    const struct folder_message *facts = &message->facts;
    struct stat status;
    if (facts->internal_date != FOLDER_DATE_UNKNOWN && facts->size != FOLDER_SIZE_UNKNOWN) return;
    if (fstat(file, &status) == 0) note_look(message, status.st_mtim.tv_sec, (uint64_t)status.st_size);
}

bool fetch_message_bytes(struct fetch_message *message) {
    enum store_result result;
    struct failure failure = {0};
    if (message->file_tried) return message->bytes.data != NULL;
    message->file_tried = true;
    int file = folder_message_file(message->session->folder, message->sequence, &result, &failure);
    if (file < 0) return false;
    look_at_file(message, file);
    if (!read_small(message, file)) map_file(message, file);
    close(file);
    return message->bytes.data != NULL;
}

static bool open_record(struct fetch_message *message, struct str record) {
    message->has_structure = imap_structure_open(record, &message->structure) &&
                             (message->facts.size == 0 || message->facts.size == FOLDER_SIZE_UNKNOWN ||
                              message->structure.file_length == message->facts.size);
    return message->has_structure;
}

/* What a thread has read ahead; NULL: nothing, or the file is there already. */
static const struct ahead_message *read_ahead(struct fetch_message *message, unsigned want) {
    struct folder_message *facts = &message->facts;
    if (message->file_tried) return NULL;
    message->ahead = ahead_get(message->session, message->sequence, facts->uid, want);
    bool unknown = facts->internal_date == FOLDER_DATE_UNKNOWN || facts->size == FOLDER_SIZE_UNKNOWN;
    if (message->ahead && message->ahead->looked && unknown)
        note_look(message, message->ahead->date, message->ahead->size);
    return message->ahead;
}

/* The record as it was read ahead, or made of the file. */
static bool make_record(struct fetch_message *message, struct str *record) {
    const struct ahead_message *ahead = read_ahead(message, AHEAD_STRUCTURE);
    if (ahead) {
        *record = ahead->record;
        return true;
    }
    if (!fetch_message_bytes(message)) return false;
    imap_structure_build(message->bytes, &message->record);
    *record = buf_str(&message->record);
    return true;
}

bool fetch_message_structure(struct fetch_message *message) {
    struct imap_session *session = message->session;
    struct str cached, record;
    if (message->structure_tried) return message->has_structure;
    message->structure_tried = true;
    const uint8_t *id = folder_id(session->folder);
    if (cache_get(session->store, id, message->facts.uid, CACHE_STRUCTURE, &cached) && open_record(message, cached))
        return true;
    if (!make_record(message, &record)) return false;
    message->has_structure = imap_structure_open(record, &message->structure);
    if (message->has_structure) cache_put(session->store, id, message->facts.uid, CACHE_STRUCTURE, record);
    return message->has_structure;
}

static bool read_beginning(struct fetch_message *message, struct str *header) {
    enum store_result result;
    struct failure failure = {0};
    struct buf *bytes = &message->session->file;
    bool whole;
    int file = folder_message_file(message->session->folder, message->sequence, &result, &failure);
    if (file < 0) return false;
    bool good = message_file_read_header(file, READ_WAITING, bytes, header, &whole);
    close(file);
    if (good && whole) {
        message->bytes = buf_str(bytes);
        message->file_tried = true;
    }
    return good;
}

/* The header, perhaps with more behind it. */
static bool find_header(struct fetch_message *message, struct str *header) {
    if (!message->file_tried && read_beginning(message, header)) return true;
    if (!fetch_message_bytes(message)) return false;
    *header = message->bytes;
    return true;
}

/* The fields as they were read ahead, or out of the file. */
static bool make_fields(struct fetch_message *message) {
    const struct ahead_message *ahead = read_ahead(message, AHEAD_FIELDS);
    struct str header;
    if (!ahead && !find_header(message, &header)) return false;
    (void)!buf_reserve(&message->fields, FIELDS_USUAL);
    if (ahead)
        buf_append(&message->fields, ahead->fields);
    else
        kept_fields_append(&message->fields, header);
    return true;
}

void fetch_message_keep_fields(struct imap_session *session, uint32_t uid, struct str fields) {
    cache_put(session->store, folder_id(session->folder), uid, CACHE_HEADER, fields);
}

bool fetch_message_fields(struct fetch_message *message, struct str *fields) {
    struct imap_session *session = message->session;
    const uint8_t *id = folder_id(session->folder);
    if (message->fields.length == 0) {
        if (cache_get(session->store, id, message->facts.uid, CACHE_HEADER, fields)) return true;
        if (!make_fields(message)) return false;
        if (!message->fields_held) fetch_message_keep_fields(session, message->facts.uid, buf_str(&message->fields));
    }
    *fields = buf_str(&message->fields);
    return true;
}

bool fetch_message_parts(struct fetch_message *message) {
    if (!fetch_message_structure(message)) return false;
    if (!message->parts) message->parts = imap_structure_parts(&message->structure);
    return message->parts != NULL;
}

void fetch_message_email_id(const struct fetch_message *message, char text[34]) {
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    EVP_Digest(message->bytes.data, message->bytes.length, digest, NULL, EVP_sha256(), NULL);
    text[0] = 'M';
    for (int i = 0; i < 16; i++)
        snprintf(text + 1 + 2 * i, 3, "%02x", digest[i]);
}

bool fetch_message_email_id_is(struct fetch_message *message, struct str id) {
    char text[34];
    if (!fetch_message_bytes(message)) return false;
    fetch_message_email_id(message, text);
    return str_equal(id, str_from(text));
}
