/* Decodes packets of every type of the message table, walks their lists, and packs what was decoded
 * again: it must come out as it went in. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str packet = str_make((const char *)data, size);
    enum ipc_type type;
    uint32_t serial;
    if (ipc_peek(packet, &type, &serial)) check(packet, type, serial);
    if (size >= 12 && size <= IPC_PACKET_LIMIT) check_as_every_type(data, size);
    return 0;
}
