/* IPC packing: every message of the table there and back; every bound; every truncation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "ipc_codec.h"

/* Room for any message or row of the table. */
union any {
    uint64_t aligned;
    char bytes[1024];
};

static char letters[IPC_PACKET_LIMIT];

static bool fill_row_list(struct ipc_list *list, enum ipc_row_type row, size_t maximum, unsigned how, struct buf *rows);

/* how: 0 empty and zero, 1 something, 2 the bounds (lists: a few rows). */
static bool fill(const struct ipc_layout *layout, void *message, unsigned how, struct buf *rows) {
    memset(message, 0, layout->size);
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        void *value = (char *)message + field->offset;
        switch (field->kind) {
        case IPC_FIELD_TEXT:
            *(struct str *)value = str_make(letters, how == 2 ? field->maximum : how * (i % 5));
            break;
        case IPC_FIELD_NUMBER:
            *(uint64_t *)value = how == 2 ? field->maximum : how * (i % (field->maximum + (field->maximum != UINT64_MAX)));
            break;
        case IPC_FIELD_FLAG:
            *(bool *)value = how > 0;
            break;
        case IPC_FIELD_LIST:
            if (!fill_row_list(value, field->row, field->maximum, how, &rows[0])) return false;
            break;
        }
    }
    return true;
}

static bool fill_row_list(struct ipc_list *list, enum ipc_row_type row, size_t maximum, unsigned how, struct buf *rows) {
    union any one;
    uint32_t count = 0;
    buf_clear(&rows[0]);
    for (unsigned i = 0; i < 2 * how; i++) {
        if (!fill(ipc_row_layout(row), &one, how, &rows[1])) return false;
        size_t before = rows[0].length;
        if (!ipc_list_add(row, &one, &rows[0], &count)) return false;
        if (rows[0].length <= maximum) continue;
        buf_truncate(&rows[0], before); /* rows at their bounds may be too many for the list's */
        count--;
        break;
    }
    *list = (struct ipc_list){buf_str(&rows[0]), count};
    return true;
}

static void check_same(const struct ipc_layout *layout, const void *a, const void *b) {
    for (size_t i = 0; i < layout->count; i++) {
        const struct ipc_field *field = &layout->fields[i];
        const void *left = (const char *)a + field->offset;
        const void *right = (const char *)b + field->offset;
        switch (field->kind) {
        case IPC_FIELD_TEXT:
            assert_true(str_equal(*(const struct str *)left, *(const struct str *)right));
            break;
        case IPC_FIELD_NUMBER:
            assert_true(*(const uint64_t *)left == *(const uint64_t *)right);
            break;
        case IPC_FIELD_FLAG:
            assert_int_equal(*(const bool *)left, *(const bool *)right);
            break;
        case IPC_FIELD_LIST: {
            const struct ipc_list *one = left, *other = right;
            size_t offset = 0;
            uint32_t rows = 0;
            bool bad = false;
            union any row;
            assert_int_equal(one->count, other->count);
            assert_true(str_equal(one->packed, other->packed));
            while (ipc_list_next(*other, field->row, &offset, &row, &bad)) rows++;
            assert_false(bad);
            assert_int_equal(rows, other->count);
            break;
        }
        }
    }
}

static void every_message_goes_there_and_back(void **state) {
    (void)state;
    struct buf rows[4] = {{0}};
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        const struct ipc_layout *layout = ipc_message_layout(type);
        assert_true(layout->size <= sizeof(union any));
        for (unsigned how = 0; how < 3; how++) {
            union any message, back;
            struct buf packet = buf_make(0);
            enum ipc_type found;
            uint32_t serial;
            assert_true(fill(layout, &message, how, rows));
            assert_true(ipc_encode(type, 77 + how, &message, &packet));
            assert_true(ipc_peek(buf_str(&packet), &found, &serial));
            assert_int_equal(found, type);
            assert_int_equal(serial, 77 + how);
            assert_true(ipc_decode(buf_str(&packet), type, &back));
            check_same(layout, &message, &back);
            buf_free(&packet);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) buf_free(&rows[i]);
}

/* Each prefix, and each prefix whose length field says so, is refused and leaves the struct alone. */
static void every_truncation_is_refused(void **state) {
    (void)state;
    struct buf rows[4] = {{0}};
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        union any message, back;
        struct buf packet = buf_make(0);
        assert_true(fill(ipc_message_layout(type), &message, 1, rows));
        assert_true(ipc_encode(type, 1, &message, &packet));
        memset(&back, 0x55, sizeof(back));
        const union any untouched = back;
        for (uint32_t length = 0; length < packet.length; length++) {
            /* In memory of exactly that size, for the sanitizer. */
            char *cut = memory_allocate(length ? length : 1, 1);
            memcpy(cut, packet.data, length);
            assert_false(ipc_decode(str_make(cut, length), type, &back));
            if (length >= 12) memcpy(cut + 8, &length, sizeof(length));
            assert_false(ipc_decode(str_make(cut, length), type, &back));
            free(cut);
        }
        assert_memory_equal(&back, &untouched, sizeof(back));
        /* One byte more. */
        uint32_t longer = (uint32_t)packet.length + 1;
        buf_append_char(&packet, 0);
        memcpy(packet.data + 8, &longer, sizeof(longer));
        assert_false(ipc_decode(buf_str(&packet), type, &back));
        buf_free(&packet);
    }
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) buf_free(&rows[i]);
}

static void bounds_hold_when_packing(void **state) {
    (void)state;
    struct buf rows[4] = {{0}};
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        const struct ipc_layout *layout = ipc_message_layout(type);
        for (size_t i = 0; i < layout->count; i++) {
            const struct ipc_field *field = &layout->fields[i];
            union any message;
            struct buf packet = buf_make(0);
            assert_true(fill(layout, &message, 1, rows));
            void *value = message.bytes + field->offset;
            if (field->kind == IPC_FIELD_TEXT) *(struct str *)value = str_make(letters, field->maximum + 1);
            else if (field->kind == IPC_FIELD_NUMBER && field->maximum < UINT64_MAX) *(uint64_t *)value = field->maximum + 1;
            else if (field->kind == IPC_FIELD_LIST) ((struct ipc_list *)value)->packed = str_make(letters, field->maximum + 1);
            else continue;
            assert_false(ipc_encode(type, 1, &message, &packet));
            assert_int_equal(packet.length, 0);
            buf_free(&packet);
        }
    }
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) buf_free(&rows[i]);
}

static void limits_hold_when_unpacking(void **state) {
    (void)state;
    struct ipc_failed failed = {.reply_code = 599, .status = STR("4.3.0"), .text = STR("x")};
    struct buf packet = buf_make(0);
    assert_true(ipc_encode(IPC_FAILED, 9, &failed, &packet));
    /* 599 is two bytes: e7 ... 0xd7 0x04 */
    assert_int_equal((unsigned char)packet.data[12], 0xd7);
    packet.data[12] = (char)0xd8; /* 600 */
    assert_false(ipc_decode(buf_str(&packet), IPC_FAILED, &failed));
    packet.data[12] = (char)0xd7;
    assert_true(ipc_decode(buf_str(&packet), IPC_FAILED, &failed));
    assert_false(ipc_decode(buf_str(&packet), IPC_HELLO, &failed));
    packet.data[2] = 9; /* another format */
    assert_false(ipc_decode(buf_str(&packet), IPC_FAILED, &failed));
    packet.data[2] = 1;
    packet.data[0] = (char)IPC_TYPE_COUNT;
    enum ipc_type type;
    uint32_t serial;
    assert_false(ipc_peek(buf_str(&packet), &type, &serial));
    buf_free(&packet);
    /* a flag is 0 or 1 */
    struct ipc_load load = {.sessions = 3, .full = true};
    assert_true(ipc_encode(IPC_LOAD, 0, &load, &packet));
    packet.data[packet.length - 1] = 2;
    assert_false(ipc_decode(buf_str(&packet), IPC_LOAD, &load));
    buf_free(&packet);
}

static void lists_are_looked_into(void **state) {
    (void)state;
    struct buf rows = buf_make(0);
    struct buf packet = buf_make(0);
    uint32_t count = 0;
    struct ipc_recipient recipient = {.address = STR("a@example.org"), .index = 5};
    assert_true(ipc_list_add(IPC_ROW_RECIPIENT, &recipient, &rows, &count));
    assert_true(ipc_list_add(IPC_ROW_RECIPIENT, &recipient, &rows, &count));
    struct ipc_cleanup_recipients message = {.queue_id = STR("Q"), .recipients = {buf_str(&rows), count}};
    struct ipc_cleanup_recipients back;
    assert_true(ipc_encode(IPC_CLEANUP_RECIPIENTS, 1, &message, &packet));
    assert_true(ipc_decode(buf_str(&packet), IPC_CLEANUP_RECIPIENTS, &back));
    static const uint32_t wrong_counts[] = {0, 1, 3, UINT32_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong_counts); i++) {
        message.recipients.count = wrong_counts[i];
        buf_clear(&packet);
        assert_true(ipc_encode(IPC_CLEANUP_RECIPIENTS, 1, &message, &packet));
        assert_false(ipc_decode(buf_str(&packet), IPC_CLEANUP_RECIPIENTS, &back));
    }
    message.recipients.count = 2;
    rows.data[rows.length - 1] = (char)0x80; /* the last number does not end */
    buf_clear(&packet);
    assert_true(ipc_encode(IPC_CLEANUP_RECIPIENTS, 1, &message, &packet));
    assert_false(ipc_decode(buf_str(&packet), IPC_CLEANUP_RECIPIENTS, &back));
    size_t offset = 0;
    bool bad = false;
    assert_true(ipc_list_next(message.recipients, IPC_ROW_RECIPIENT, &offset, &recipient, &bad));
    assert_int_equal(recipient.index, 5);
    assert_false(ipc_list_next(message.recipients, IPC_ROW_RECIPIENT, &offset, &recipient, &bad));
    assert_true(bad);
    buf_free(&rows);
    buf_free(&packet);
}

static void a_packet_has_a_limit(void **state) {
    (void)state;
    /* The greatest messages of the table fit. */
    struct ipc_layout const *layout;
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        layout = ipc_message_layout(type);
        uint64_t most = 12;
        for (size_t i = 0; i < layout->count; i++) {
            const struct ipc_field *field = &layout->fields[i];
            most += 10 + (field->kind == IPC_FIELD_TEXT || field->kind == IPC_FIELD_LIST ? field->maximum : 0);
        }
        assert_true(most <= IPC_PACKET_LIMIT);
    }
}

static void the_version_names_package_and_table(void **state) {
    (void)state;
    struct str version = ipc_version();
    assert_true(str_starts(version, STR(PACKAGE_VERSION "-")));
    assert_int_equal(version.length, sizeof(PACKAGE_VERSION) + 8);
    assert_string_equal(ipc_type_name(IPC_LOOKUP_DNS), "lookup_dns");
    assert_string_equal(ipc_type_name(IPC_NOTHING), "nothing");
}

int main(void) {
    memset(letters, 'x', sizeof(letters));
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_goes_there_and_back), cmocka_unit_test(every_truncation_is_refused),
        cmocka_unit_test(bounds_hold_when_packing),          cmocka_unit_test(limits_hold_when_unpacking),
        cmocka_unit_test(lists_are_looked_into),             cmocka_unit_test(a_packet_has_a_limit),
        cmocka_unit_test(the_version_names_package_and_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
