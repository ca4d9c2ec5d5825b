/* The key of a plan: see tls_plan.h. Whatever two connections could differ in goes into it. */
#include "tls_plan.h"
#include <openssl/evp.h>

/* Each with its length before it, so that no two lists look alike. */
static void add(struct buf *text, struct str part) {
    buf_append_u64(text, part.length);
    buf_append_char(text, ':');
    buf_append(text, part);
}

static void add_list(struct buf *text, const struct str *parts, size_t count) {
    buf_printf(text, "%zu(", count);
    for (size_t i = 0; i < count; i++)
        add(text, parts[i]);
    buf_append_char(text, ')');
}

void tls_plan_seal(struct tls_plan *plan) {
    const struct tls_client_session *session = &plan->session;
    struct buf text = buf_make(0);
    size_t length = 0;
    buf_printf(&text, "%d %d %d %d ", (int)plan->level, (int)session->expect, plan->report_only, plan->require_tls);
    add(&text, plan->protocols);
    add(&text, plan->grade);
    add(&text, plan->exclude);
    add(&text, session->server_name);
    add(&text, session->alpn);
    add_list(&text, session->names, session->name_count);
    add(&text, session->fingerprint_digest);
    add_list(&text, session->fingerprints, session->fingerprint_count);
    for (size_t i = 0; i < session->tlsa_count; i++) {
        buf_printf(&text, "%u %u %u ", session->tlsa[i].usage, session->tlsa[i].selector, session->tlsa[i].matching);
        add(&text, session->tlsa[i].data);
    }
    if (EVP_Q_digest(NULL, "SHA256", NULL, buf_string(&text), text.length, plan->key, &length) != 1)
        memory_exhausted(text.length); /* nothing else can go wrong with SHA-256 */
    buf_free(&text);
}
