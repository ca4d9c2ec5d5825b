/* Fuzz target: the row that says how an access token is to be had, and what a token server answers. */
#include "access_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), text;
    struct token_grant grant;
    struct failure failure = {0};
    struct buf out = buf_make(0), token = buf_make(0);
    uint64_t seconds = 0;
    if (token_grant_parse(input, &grant, &failure) && token_request_append(&out, &grant)) {
        text = buf_str(&out);
        for (size_t i = 0; i < text.length; i++)
            if (text.data[i] <= ' ' || text.data[i] >= 0x7f) abort();
    }
    token_grant_free(&grant);
    if (token_answer_parse(200, input, &token, &seconds, &failure) && token.length == 0) abort();
    if (token_answer_parse(400, input, &token, &seconds, &failure)) abort();
    buf_free(&out);
    buf_free(&token);
    return 0;
}
