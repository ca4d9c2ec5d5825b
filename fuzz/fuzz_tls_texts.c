/* TLS without OpenSSL: lists of protocols, and the name in a ClientHello. */
#include "tls_client_hello.h"
#include "tls_protocols.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(struct str input) {
    char name[TLS_SERVER_NAME_MAX + 1] = "";
    if (!tls_server_name_parse(input, name)) return;
    size_t length = strlen(name);
    if (length == 0 || length > TLS_SERVER_NAME_MAX || length + 5 > input.length) abort();
    for (size_t i = 0; i < length; i++)
        if (name[i] != '.' && name[i] != '-' && name[i] != '_' && !ascii_is_alnum(name[i])) abort();
    if (name[0] == '.' || name[length - 1] == '.') abort();
}

static void check_protocols(struct str input) {
    unsigned versions = 0;
    struct failure failure = {0};
    if (!tls_protocols_parse(input, &versions, &failure)) {
        if (versions || !failure.text[0]) abort();
        return;
    }
    if (versions == 0 || versions >> TLS_VERSION_COUNT) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_name(str_make((const char *)data, size));
    check_protocols(str_make((const char *)data, size));
    return 0;
}
