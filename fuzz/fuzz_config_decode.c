/* The sealed configuration: the input, and the input with a check sum that fits. */
#include "config_load.h"
#include "hash.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(struct str encoded) {
    struct config *config = NULL;
    struct failure failure = {0};
    if (config_decode(encoded, &config, &failure)) {
        /* What was read can be sealed and read again. */
        struct buf again = buf_make(0);
        struct config *second = NULL;
        config_encode(config, config->scope, &again);
        if (!config_decode(buf_str(&again), &second, &failure))
            abort();
        config_free(&second);
        buf_free(&again);
        config_free(&config);
    } else if (failure.text[0] == '\0') {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf whole = buf_make(0);
    decode(str_make((const char *)data, size));
    buf_append_bytes(&whole, data, size);
    uint32_t sum = crc32c(0, data, size);
    for (unsigned i = 0; i < 4; i++)
        buf_append_char(&whole, (char)(unsigned char)(sum >> (8 * i)));
    decode(buf_str(&whole));
    buf_free(&whole);
    return 0;
}
