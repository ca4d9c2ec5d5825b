/* Decodes packets of every type of the message table, walks their lists, and packs what was decoded
 * again: it must come out as it went in. And makes a message of every type with fields from the input,
 * within their bounds: it must pack, and be decoded as the same. */
#include "ipc_codec.h"

union any {
    uint64_t aligned;
    char bytes[1024];
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
    if (!condition) abort();
}

static void walk_list(struct ipc_list list, enum ipc_row_type row) {
    union any one;
    size_t offset = 0;
    uint32_t rows = 0;
    bool bad = false;
    const struct ipc_layout *layout = ipc_row_layout(row);
    require(layout->size <= sizeof(one));
    while (ipc_list_next(list, row, &offset, &one, &bad)) {
        rows++;
        for (size_t i = 0; i < layout->count; i++)
            if (layout->fields[i].kind == IPC_FIELD_LIST)
                walk_list(*(const struct ipc_list *)(const void *)(one.bytes + layout->fields[i].offset), layout->fields[i].row);
    }
    require(!bad && rows == list.count); /* the decoder has looked already */
}

static void check(struct str packet, enum ipc_type type, uint32_t serial) {
    union any message, again;
    const struct ipc_layout *layout = ipc_message_layout(type);
    require(layout->size <= sizeof(message));
    memset(&message, 0, sizeof(message));
    if (!ipc_decode(packet, type, &message)) return;
    for (size_t i = 0; i < layout->count; i++)
        if (layout->fields[i].kind == IPC_FIELD_LIST)
            walk_list(*(const struct ipc_list *)(const void *)(message.bytes + layout->fields[i].offset), layout->fields[i].row);
    struct buf packed = buf_make(0);
    require(ipc_encode(type, serial, &message, &packed));
    require(ipc_decode(buf_str(&packed), type, &again));
    buf_free(&packed);
}

/* The same bytes under each type's number, with a fitting length, so that one input meets all layouts. */
static void check_as_every_type(const uint8_t *data, size_t size) {
    char *packet = memory_allocate(size, 1);
    memcpy(packet, data, size);
    const uint16_t format = 1;
    const uint32_t length = (uint32_t)size;
    memcpy(packet + 2, &format, sizeof(format));
    memcpy(packet + 8, &length, sizeof(length));
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        const uint16_t number = (uint16_t)type;
        memcpy(packet, &number, sizeof(number));
        check(str_make(packet, size), type, 1);
    }
    MEMORY_FREE(packet);
}

/* ---- messages made of the input */

static struct str take(struct str *input, uint64_t most) {
    size_t length = input->length < most ? input->length : (size_t)most;
    if (length > 0) length = (unsigned char)input->data[0] % (length + 1);
    struct str taken = str_slice(*input, 0, length);
    *input = str_from_offset(*input, length);
    return taken;
}

static uint64_t take_number(struct str *input, uint64_t most) {
    uint64_t number = 0;
    struct str bytes = take(input, sizeof(number));
    if (bytes.length > 0) memcpy(&number, bytes.data, bytes.length);
    return most == UINT64_MAX ? number : number % (most + 1);
}

static void make_fields(const struct ipc_layout *layout, struct str *input, union any *message, struct arena *arena);

/* Up to three rows. */
static struct ipc_list make_list(const struct ipc_field *field, struct str *input, struct arena *arena) {
    struct ipc_list list = {STR_EMPTY, 0};
    struct buf rows = buf_make((size_t)field->maximum);
    uint64_t count = take_number(input, 3);
    for (uint64_t i = 0; i < count; i++) {
        union any row;
        make_fields(ipc_row_layout(field->row), input, &row, arena);
        if (!ipc_list_add(field->row, &row, &rows, &list.count)) break;
    }
    require(arena_copy(arena, buf_str(&rows), &list.packed));
    buf_free(&rows);
    return list;
}

static void make_fields(const struct ipc_layout *layout, struct str *input, union any *message, struct arena *arena) {
    memset(message, 0, sizeof(*message));
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        void *value = message->bytes + field->offset;
        switch (field->kind) {
        case IPC_FIELD_TEXT:
            *(struct str *)value = take(input, field->maximum);
            break;
        case IPC_FIELD_NUMBER:
            *(uint64_t *)value = take_number(input, field->maximum);
            break;
        case IPC_FIELD_FLAG:
            *(bool *)value = take_number(input, 1);
            break;
        case IPC_FIELD_LIST:
            *(struct ipc_list *)value = make_list(field, input, arena);
            break;
        }
    }
}

static void check_made(struct str input, enum ipc_type type) {
    union any message, again;
    struct arena *arena = arena_create(0);
    struct buf packet = buf_make(0), repacked = buf_make(0);
    make_fields(ipc_message_layout(type), &input, &message, arena);
    require(ipc_encode(type, 7, &message, &packet));
    require(ipc_decode(buf_str(&packet), type, &again));
    require(ipc_encode(type, 7, &again, &repacked));
    require(str_equal(buf_str(&packet), buf_str(&repacked)));
    check(buf_str(&packet), type, 7);
    buf_free(&packet);
    buf_free(&repacked);
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str packet = str_make((const char *)data, size);
    enum ipc_type type;
    uint32_t serial;
    if (ipc_peek(packet, &type, &serial)) check(packet, type, serial);
    if (size >= 12 && size <= IPC_PACKET_LIMIT) check_as_every_type(data, size);
    for (type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) check_made(str_slice(packet, 0, 20000), type);
    return 0;
}
