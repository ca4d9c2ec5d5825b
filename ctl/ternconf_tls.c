/* ternconf -T: what the TLS library is, in postconf's words. */
#include "ternconf.h"

#include <openssl/crypto.h>
#include <openssl/opensslv.h>

void ternconf_tls(const char *mode) {
    if (strcmp(mode, "compile-version") == 0)
        printf("%s\n", OPENSSL_VERSION_TEXT);
    else if (strcmp(mode, "run-version") == 0)
        printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    else if (strcmp(mode, "public-key-algorithms") == 0)
        printf("ecdsa\ned25519\nrsa\n");
    else
        ternconf_fatal("unknown mode of -T: %s", mode);
}
