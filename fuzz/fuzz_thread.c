/* Fuzz target: every message comes once into threads of well-formed syntax, whatever refers to what. Each message is
 * four octets: its ID, two references, date and subject. */
#include "thread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MESSAGES_MAX 500

static void check(bool holds) {
    if (!holds) abort();
}

static void check_output(struct str out, size_t count) {
    bool seen[MESSAGES_MAX + 1] = {false};
    size_t depth = 0, found = 0;
    while (out.length > 0) {
        char c = out.data[0];
        size_t taken = 1;
        if (c == '(') {
            depth++;
            check(out.length > 1 && out.data[1] != ')' && out.data[1] != ' ');
        } else if (c == ')') {
            check(depth-- > 0);
        } else if (c == ' ') {
            check(out.length > 1 && (ascii_is_digit(out.data[1]) || out.data[1] == '('));
        } else {
            while (taken < out.length && ascii_is_digit(out.data[taken]))
                taken++;
            uint64_t number = 0;
            check(depth > 0 && str_to_u64(str_slice(out, 0, taken), count, &number) && number > 0 && !seen[number]);
            seen[number] = true;
            found++;
        }
        out = str_from_offset(out, taken);
    }
    check(depth == 0 && found == count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct thread_message messages[MESSAGES_MAX];
    uint64_t references[MESSAGES_MAX][2];
    static const char subjects[] = "abcdefgh";
    size_t count = size / 4 < MESSAGES_MAX ? size / 4 : MESSAGES_MAX;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *octets = data + 4 * i;
        references[i][0] = octets[1];
        references[i][1] = octets[2];
        messages[i] = (struct thread_message){.number = (uint32_t)i + 1, .sent = octets[3] >> 4};
        messages[i].message_id = octets[0];
        messages[i].references = references[i];
        messages[i].reference_count = octets[1] == 0 ? 0 : 2;
        messages[i].reply = octets[3] & 8;
        messages[i].subject = str_make(&subjects[octets[3] & 7], octets[3] & 7 ? 1 : 0);
    }
    for (enum thread_algorithm algorithm = THREAD_ORDEREDSUBJECT; algorithm <= THREAD_REFS; algorithm++) {
        struct buf out = {0};
        check(thread_append(&out, algorithm, messages, count));
        check_output(buf_str(&out), count);
        buf_free(&out);
    }
    uint64_t hashes[THREAD_REFERENCES_MAX];
    struct str text = str_make((const char *)data, size);
    size_t found = thread_read_references(text, text, hashes);
    check((found > 0) == (thread_id_hash(text) != 0));
    return 0;
}
