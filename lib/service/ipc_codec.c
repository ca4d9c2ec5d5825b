/* Packing and unpacking of IPC messages, driven by the message table.
 *
 * A packet, in the machine's own byte order (both ends are one build, which
 * HELLO checks):
 *
 *   u16 type, u16 format, u32 serial, u32 length of the whole packet
 *   then the fields: TEXT   u32 length, bytes
 *                    NUMBER 7 bits a byte, low ones first, the high bit says "more"
 *                    FLAG   u8, 0 or 1
 *                    LIST   u32 count of rows, u32 length, the rows' fields
 *
 * Everything is pure, every length is checked against what is left, and what is
 * left over after the last field is refused as well. */
#include "ipc_codec.h"
#include "hash.h"

enum { WIRE_FORMAT = 1, HEADER_SIZE = 12 };

/* ---- the table as data */

#define TEXT(field, maximum, meaning) {#field, meaning, maximum, offsetof(this_struct, field), IPC_FIELD_TEXT, IPC_ROW_COUNT},
#define NUMBER(field, maximum, meaning)                                                                                \
    {#field, meaning, maximum, offsetof(this_struct, field), IPC_FIELD_NUMBER, IPC_ROW_COUNT},
#define FLAG(field, meaning) {#field, meaning, 1, offsetof(this_struct, field), IPC_FIELD_FLAG, IPC_ROW_COUNT},
#define LIST(field, ROW_NAME, maximum, meaning)                                                                        \
    {#field, meaning, maximum, offsetof(this_struct, field), IPC_FIELD_LIST, IPC_ROW_##ROW_NAME},
/* The last element keeps the array of a message without fields from being empty. */
#define LAYOUT(CONSTANT, name, descriptors, meaning, ...)                                                              \
    case CONSTANT: {                                                                                                   \
        typedef struct ipc_##name this_struct;                                                                         \
        static const struct ipc_field fields[] = {__VA_ARGS__{0}};                                                        \
        static const struct ipc_layout layout = {#name,       meaning, fields, ARRAY_LENGTH(fields) - 1,               \
                                                 sizeof(this_struct), descriptors};                                    \
        return &layout;                                                                                                \
    }

const struct ipc_layout *ipc_message_layout(enum ipc_type type) {
    switch (type) {
#define ROW(NAME, name, meaning, FIELDS)
#define MESSAGE(NAME, name, descriptors, meaning, FIELDS) LAYOUT(IPC_##NAME, name, descriptors, meaning, FIELDS)
#include "ipc_messages.def"
#undef MESSAGE
#undef ROW
    case IPC_NOTHING:
    case IPC_TYPE_COUNT:
        break;
    }
    return NULL;
}

const struct ipc_layout *ipc_row_layout(enum ipc_row_type type) {
    switch (type) {
#define MESSAGE(NAME, name, descriptors, meaning, FIELDS)
#define ROW(NAME, name, meaning, FIELDS) LAYOUT(IPC_ROW_##NAME, name, 0, meaning, FIELDS)
#include "ipc_messages.def"
#undef MESSAGE
#undef ROW
    case IPC_ROW_COUNT:
        break;
    }
    return NULL;
}

#undef TEXT
#undef NUMBER
#undef FLAG
#undef LIST

const char *ipc_type_name(enum ipc_type type) {
    const struct ipc_layout *layout = ipc_message_layout(type);
    return layout ? layout->name : "nothing";
}

static uint32_t digest_layout(uint32_t digest, const struct ipc_layout *layout) {
    digest = crc32c(digest, layout->name, strlen(layout->name) + 1);
    digest = crc32c(digest, &layout->descriptors, sizeof(layout->descriptors));
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        const uint64_t properties[] = {field->maximum, field->offset, (uint64_t)field->kind, (uint64_t)field->row};
        digest = crc32c(digest, field->name, strlen(field->name) + 1);
        digest = crc32c(digest, properties, sizeof(properties));
    }
    return digest;
}

struct str ipc_version(void) {
    /* Constant in all but the moment it is computed: every computation writes the same bytes. */
    static char text[64];
    if (!text[0]) {
        uint32_t digest = WIRE_FORMAT;
        for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++)
            digest = digest_layout(digest, ipc_message_layout(type));
        for (enum ipc_row_type type = 0; type < IPC_ROW_COUNT; type++)
            digest = digest_layout(digest, ipc_row_layout(type));
        snprintf(text, sizeof(text), "%s-%08x", PACKAGE_VERSION, digest);
    }
    return str_from(text);
}

/* ---- packing */

static bool put_u32(struct buf *packet, size_t number) {
    uint32_t word = (uint32_t)number;
    return number <= UINT32_MAX && buf_append_bytes(packet, &word, sizeof(word));
}

static bool put_number(struct buf *packet, uint64_t number) {
    char bytes[10];
    size_t length = 0;
    for (; number >= 0x80; number >>= 7)
        bytes[length++] = (char)((number & 0x7f) | 0x80);
    bytes[length++] = (char)number;
    return buf_append_bytes(packet, bytes, length);
}

static bool put_bytes(struct buf *packet, struct str bytes, uint64_t maximum) {
    return bytes.length <= maximum && put_u32(packet, bytes.length) &&
           (bytes.length == 0 || buf_append(packet, bytes));
}

static bool put_field(struct buf *packet, const struct ipc_field *field, const void *value) {
    switch (field->kind) {
    case IPC_FIELD_TEXT:
        return put_bytes(packet, *(const struct str *)value, field->maximum);
    case IPC_FIELD_NUMBER: {
        uint64_t number = *(const uint64_t *)value;
        return number <= field->maximum && put_number(packet, number);
    }
    case IPC_FIELD_FLAG:
        return buf_append_char(packet, *(const bool *)value);
    case IPC_FIELD_LIST: {
        const struct ipc_list *list = value;
        return put_u32(packet, list->count) && put_bytes(packet, list->packed, field->maximum);
    }
    }
    return false;
}

static bool put_fields(struct buf *packet, const struct ipc_layout *layout, const void *message) {
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        if (!put_field(packet, field, (const char *)message + field->offset))
            return false;
    }
    return true;
}

bool ipc_encode(enum ipc_type type, uint32_t serial, const void *message, struct buf *packet) {
    const struct ipc_layout *layout = ipc_message_layout(type);
    size_t start = packet->length;
    if (!layout)
        return false;
    char header[HEADER_SIZE] = {0};
    if (!buf_append_bytes(packet, header, sizeof(header)) || !put_fields(packet, layout, message) ||
        packet->length - start > IPC_PACKET_LIMIT) {
        buf_truncate(packet, start);
        return false;
    }
    const uint16_t words[2] = {(uint16_t)type, WIRE_FORMAT};
    const uint32_t numbers[2] = {serial, (uint32_t)(packet->length - start)};
    memcpy(packet->data + start, words, sizeof(words));
    memcpy(packet->data + start + sizeof(words), numbers, sizeof(numbers));
    return true;
}

bool ipc_list_add(enum ipc_row_type type, const void *row, struct buf *rows, uint32_t *count) {
    const struct ipc_layout *layout = ipc_row_layout(type);
    size_t start = rows->length;
    if (!layout || *count == UINT32_MAX)
        return false;
    if (!put_fields(rows, layout, row)) {
        buf_truncate(rows, start);
        return false;
    }
    ++*count;
    return true;
}

/* ---- unpacking: each function takes from the front of *rest */

static bool take_bytes(struct str *rest, size_t length, struct str *bytes) {
    if (length > rest->length)
        return false;
    *bytes = str_make(rest->data, length);
    *rest = str_make(rest->data + length, rest->length - length);
    return true;
}

static bool take_u32(struct str *rest, uint32_t *number) {
    struct str bytes;
    if (!take_bytes(rest, sizeof(*number), &bytes))
        return false;
    memcpy(number, bytes.data, sizeof(*number));
    return true;
}

static bool take_text(struct str *rest, uint64_t maximum, struct str *text) {
    uint32_t length;
    return take_u32(rest, &length) && length <= maximum && take_bytes(rest, length, text);
}

static bool take_number(struct str *rest, uint64_t maximum, uint64_t *number) {
    uint64_t value = 0;
    for (size_t i = 0; i < rest->length && i < 10; i++) {
        uint64_t byte = (unsigned char)rest->data[i];
        if (i == 9 && byte > 1)
            return false; /* more than 64 bits */
        value |= (byte & 0x7f) << (7 * i);
        if (byte < 0x80) {
            *rest = str_from_offset(*rest, i + 1);
            *number = value;
            return value <= maximum;
        }
    }
    return false;
}

static bool take_flag(struct str *rest, bool *flag) {
    struct str byte;
    if (!take_bytes(rest, 1, &byte) || (unsigned char)byte.data[0] > 1)
        return false;
    *flag = byte.data[0] == 1;
    return true;
}

static bool take_list(struct str *rest, uint64_t maximum, struct ipc_list *list) {
    return take_u32(rest, &list->count) && take_text(rest, maximum, &list->packed);
}

static bool take_field(struct str *rest, const struct ipc_field *field, void *value) {
    switch (field->kind) {
    case IPC_FIELD_TEXT:
        return take_text(rest, field->maximum, value);
    case IPC_FIELD_NUMBER:
        return take_number(rest, field->maximum, value);
    case IPC_FIELD_FLAG:
        return take_flag(rest, value);
    case IPC_FIELD_LIST:
        return take_list(rest, field->maximum, value);
    }
    return false;
}

static bool check_fields(struct str *rest, const struct ipc_layout *layout);

/* The list is rows of its type, as many as it says, and nothing else. Lists nest
 * as deep as the table does, which no packet can change. */
static bool check_list(struct ipc_list list, enum ipc_row_type row) {
    const struct ipc_layout *layout = ipc_row_layout(row);
    if (!layout)
        return false;
    uint32_t rows = 0;
    while (list.packed.length > 0) {
        if (rows++ == list.count || !check_fields(&list.packed, layout))
            return false;
    }
    return rows == list.count;
}

static bool check_fields(struct str *rest, const struct ipc_layout *layout) {
    for (size_t i = 0; i < layout->count; i++) {
        union {
            struct str text;
            uint64_t number;
            bool flag;
            struct ipc_list list;
        } value;
        const struct ipc_field *field = &layout->fields[i];
        if (!take_field(rest, field, &value) || (field->kind == IPC_FIELD_LIST && !check_list(value.list, field->row)))
            return false;
    }
    return true;
}

/* After check_fields has looked, so that the struct is filled wholly or not at all. */
static void fill_fields(struct str *rest, const struct ipc_layout *layout, void *message) {
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        if (!take_field(rest, field, (char *)message + field->offset))
            return;
    }
}

bool ipc_peek(struct str packet, enum ipc_type *type, uint32_t *serial) {
    if (packet.length < HEADER_SIZE || packet.length > IPC_PACKET_LIMIT)
        return false;
    uint16_t words[2];
    uint32_t numbers[2];
    memcpy(words, packet.data, sizeof(words));
    memcpy(numbers, packet.data + sizeof(words), sizeof(numbers));
    if (words[1] != WIRE_FORMAT || numbers[1] != packet.length || !ipc_message_layout((enum ipc_type)words[0]))
        return false;
    *type = (enum ipc_type)words[0];
    *serial = numbers[0];
    return true;
}

bool ipc_decode(struct str packet, enum ipc_type type, void *message) {
    enum ipc_type found;
    uint32_t serial;
    if (!ipc_peek(packet, &found, &serial) || found != type)
        return false;
    const struct ipc_layout *layout = ipc_message_layout(type);
    struct str rest = str_from_offset(packet, HEADER_SIZE);
    if (!check_fields(&rest, layout) || rest.length > 0)
        return false;
    rest = str_from_offset(packet, HEADER_SIZE);
    fill_fields(&rest, layout, message);
    return true;
}

bool ipc_list_next(struct ipc_list list, enum ipc_row_type type, size_t *offset, void *row, bool *bad) {
    const struct ipc_layout *layout = ipc_row_layout(type);
    struct str rest = str_from_offset(list.packed, *offset);
    if (rest.length == 0)
        return false;
    struct str after = rest;
    if (!layout || !check_fields(&after, layout)) {
        *bad = true;
        *offset = list.packed.length;
        return false;
    }
    fill_fields(&rest, layout, row);
    *offset = list.packed.length - rest.length;
    return true;
}
