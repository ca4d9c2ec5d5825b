/* OpenSSL itself: its start, its errors, what hangs on its objects. See tls_internal.h. */
#include "tls_internal.h"
#include <openssl/err.h>
#include <pthread.h>

static void start_library(void) {
    OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_LOAD_SSL_STRINGS | OPENSSL_INIT_LOAD_CRYPTO_STRINGS,
                     NULL);
}

void tls_library_start(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, start_library);
}

bool tls_library_failed(struct failure *failure, const char *what) {
    unsigned long error = ERR_get_error();
    char words[256] = "no reason was given";
    if (error) ERR_error_string_n(error, words, sizeof words);
    ERR_clear_error();
    return failure_set(failure, "%s%s%s", what, what[0] ? ": " : "", words);
}

struct tls_connection *tls_connection_of(const SSL *ssl) {
    return SSL_get_app_data(ssl);
}
