/* tern check: whether the SMTP and LMTP clients could do with TLS what main.cf asks of them. */
#include "tern.h"

#include "dns_options.h"
#include "resolv_conf.h"
#include "tls_plan.h"
#include "tls_roots.h"
#include "tls_settings.h"
#include "tls_suite.h"

#define RESOLV_CONF_MAX ((size_t)64 << 10)

/* ---- versions and ciphers */

static bool check_suite(const struct config *config, const char *client, const char *kind,
                        const struct tls_grade_settings *settings, struct str exclude) {
    struct arena *arena = arena_create(0);
    struct tls_client_options options = {.verify_depth = 1};
    struct failure failure = {0};
    struct tls_context *context = NULL;
    if (tls_suite_read(config, settings->protocols, settings->grade, exclude, arena, &options.suite, &failure))
        context = tls_client_context(&options, &failure);
    bool good = context != NULL;
    if (!good) tern_complain("%s_tls_%sprotocols, _ciphers and what is excluded: %s", client, kind, failure.text);
    if (good) tls_context_release(&context);
    arena_destroy(&arena);
    return good;
}

/* ---- authorities */

static void check_roots(const char *client, const struct tls_settings *settings) {
    struct buf roots = buf_make(TLS_ROOTS_MAX);
    char *file = memory_copy_string(settings->ca_file), *directory = memory_copy_string(settings->ca_path);
    struct failure failure = {0};
    bool read = *file && tls_roots_add_file(file, &roots, &failure);
    if (*file && !read) tern_complain("warning: %s_tls_CAfile: %s", client, failure.text);
    read = (*directory && tls_roots_add_directory(directory, &roots, &failure)) || read;
    if (!read && (settings->level == TLS_LEVEL_VERIFY || settings->level == TLS_LEVEL_SECURE))
        tern_complain("warning: %s_tls_security_level = %s, but there is no authority that a certificate could be "
                      "verified by: nothing will be delivered",
                      client, tls_level_name(settings->level));
    MEMORY_FREE(file);
    MEMORY_FREE(directory);
    buf_free(&roots);
}

/* ---- DANE */

static bool has_loopback(const struct endpoint *servers, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (endpoint_is_loopback(&servers[i])) return true;
    return false;
}

/* Whether some name server's word that an answer was validated is believed. */
static bool is_believed(const struct config *config) {
    struct resolver_options options = {0};
    struct resolv_conf conf = {.server_count = 0};
    struct buf text = buf_make(RESOLV_CONF_MAX);
    struct failure failure;
    if (config->dns_trust_any_server || !dns_options_read(config, &options, &failure)) return true;
    if (options.server_count) return has_loopback(options.servers, options.server_count);
    bool good = !config_read_file("/etc/resolv.conf", RESOLV_CONF_MAX, &text, &failure);
    resolv_conf_parse(buf_str(&text), &conf);
    good = good || has_loopback(conf.servers, conf.server_count);
    buf_free(&text);
    return good;
}

static void check_dane(const struct config *config, const char *client, enum tls_level level) {
    if (level != TLS_LEVEL_DANE && level != TLS_LEVEL_DANE_ONLY) return;
    if (!is_believed(config))
        tern_complain("warning: %s_tls_security_level = %s, but no name server is on this machine, and others are not "
                      "believed (dns_trust_any_server): no TLSA record will count",
                      client, tls_level_name(level));
    if (config->ignore_mx_lookup_error)
        tern_complain("warning: %s_tls_security_level = %s does not go with ignore_mx_lookup_error = yes", client,
                      tls_level_name(level));
}

bool check_tls_client(const struct config *config) {
    bool good = true;
    for (int lmtp = 0; lmtp < 2; lmtp++) {
        const char *client = lmtp ? "lmtp" : "smtp";
        struct tls_settings settings;
        struct failure failure = {0};
        if (!tls_settings_read(config, lmtp, &settings, &failure)) {
            tern_complain("%s", failure.text);
            good = false;
            continue;
        }
        good = check_suite(config, client, "", &settings.opportunistic, settings.exclude) && good;
        good = check_suite(config, client, "mandatory_", &settings.mandatory, settings.exclude) && good;
        if (settings.level == TLS_LEVEL_NONE) continue;
        check_roots(client, &settings);
        check_dane(config, client, settings.level);
    }
    return good;
}
