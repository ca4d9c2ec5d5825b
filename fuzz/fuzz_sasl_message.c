/* Fuzz target: what SASL clients say. The first octet chooses the kind. */
#include "sasl_message.h"
#include "sasl_prepare.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_inside(struct str whole, struct str part) {
    if (part.length && (part.data < whole.data || part.data + part.length > whole.data + whole.length))
        __builtin_trap();
}

static void read_scram(struct str input) {
    struct scram_first first;
    struct scram_final final;
    struct buf name = buf_make(0);
    if (scram_first_read(input, &first)) {
        check_inside(input, first.name);
        check_inside(input, first.bare);
        if (first.header.length + first.bare.length != input.length) __builtin_trap();
        if (scram_name_decode(first.name, &name) && name.length > SASL_NAME_MAX) __builtin_trap();
    }
    if (scram_final_read(input, &final)) {
        check_inside(input, final.without_proof);
        if (final.without_proof.length + final.proof.length + 3 != input.length) __builtin_trap();
    }
    buf_free(&name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str input = str_make((const char *)data + 1, size - 1);
    struct sasl_plain plain;
    struct sasl_token token;
    struct buf prepared = buf_make(0);
    switch (data[0] % 4) {
    case 0:
        if (sasl_plain_read(input, &plain) && plain.password.length > SASL_PASSWORD_MAX) __builtin_trap();
        break;
    case 1:
        read_scram(input);
        break;
    case 2:
        if (sasl_oauthbearer_read(input, &token)) check_inside(input, token.token);
        if (sasl_xoauth2_read(input, &token)) check_inside(input, token.token);
        break;
    case 3:
        if (sasl_prepare(input, &prepared) && prepared.length > SASL_PREPARE_MAX) __builtin_trap();
        if (prepared.length && !str_is_utf8(buf_str(&prepared))) __builtin_trap();
        break;
    }
    buf_free(&prepared);
    return 0;
}
