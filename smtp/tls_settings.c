/* See tls_settings.h. */
#include "tls_settings.h"

#define MILLISECONDS(seconds) ((seconds)*1000)

/* The level, also by the names that it had before there were levels. */
static bool read_level(struct str text, bool use, bool enforce, bool enforce_name, enum tls_level *level,
                       struct failure *failure) {
    if (text.length) return tls_level_parse(text, level) || failure_set(failure, "bad TLS security level");
    *level = TLS_LEVEL_NONE;
    if (use) *level = TLS_LEVEL_MAY;
    if (enforce) *level = enforce_name ? TLS_LEVEL_VERIFY : TLS_LEVEL_ENCRYPT;
    return true;
}

static bool check_words(struct str list, const char *what, struct failure *failure) {
    struct tls_words words = {.count = 0};
    return tls_words_add(&words, list, ", \t\r\n") || failure_set(failure, "too many words in %s", what);
}

static bool check(const struct tls_settings *settings, struct failure *failure) {
    return check_words(settings->verify_match, "smtp_tls_verify_cert_match", failure) &&
           check_words(settings->secure_match, "smtp_tls_secure_cert_match", failure) &&
           check_words(settings->fingerprint_match, "smtp_tls_fingerprint_cert_match", failure);
}

bool tls_settings_read(const struct config *config, bool lmtp, struct tls_settings *settings, struct failure *failure) {
    struct tls_settings read = {.log_status = config->smtp_log_tls_feature_status};
#define TLS_SETTING(name) (lmtp ? config->lmtp_##name : config->smtp_##name)
    if (!read_level(TLS_SETTING(tls_security_level), TLS_SETTING(use_tls), TLS_SETTING(enforce_tls),
                    TLS_SETTING(tls_enforce_peername), &read.level, failure))
        return false;
    read.wrapper_mode = TLS_SETTING(tls_wrappermode);
    if (read.wrapper_mode && read.level < TLS_LEVEL_ENCRYPT) read.level = TLS_LEVEL_ENCRYPT;
    if (TLS_SETTING(tls_policy_maps).length) read.policy_maps = lmtp ? "lmtp_tls_policy_maps" : "smtp_tls_policy_maps";
    read.has_certificate = TLS_SETTING(tls_chain_files).length || TLS_SETTING(tls_cert_file).length ||
                           TLS_SETTING(tls_eccert_file).length || TLS_SETTING(tls_dcert_file).length;
    read.verify_match = TLS_SETTING(tls_verify_cert_match);
    read.secure_match = TLS_SETTING(tls_secure_cert_match);
    read.fingerprint_match = TLS_SETTING(tls_fingerprint_cert_match);
    read.fingerprint_digest = TLS_SETTING(tls_fingerprint_digest);
    read.ca_file = TLS_SETTING(tls_CAfile);
    read.require_tls = config->requiretls_enable;
    read.ca_path = TLS_SETTING(tls_CApath);
    read.verify_depth = (int)TLS_SETTING(tls_scert_verifydepth);
    read.server_name = TLS_SETTING(tls_servername);
    read.opportunistic = (struct tls_grade_settings){TLS_SETTING(tls_protocols), TLS_SETTING(tls_ciphers)};
    read.mandatory =
        (struct tls_grade_settings){TLS_SETTING(tls_mandatory_protocols), TLS_SETTING(tls_mandatory_ciphers)};
    read.exclude = TLS_SETTING(tls_exclude_ciphers);
    read.mandatory_exclude = TLS_SETTING(tls_mandatory_exclude_ciphers);
    read.log_level = TLS_SETTING(tls_loglevel);
    read.note_offer = TLS_SETTING(tls_note_starttls_offer);
    read.block_early_reply = TLS_SETTING(tls_block_early_mail_reply);
    read.reuse = TLS_SETTING(tls_connection_reuse);
    read.session_timeout = MILLISECONDS(TLS_SETTING(tls_session_cache_timeout));
    read.starttls_timeout = MILLISECONDS(TLS_SETTING(starttls_timeout));
    read.force_tlsa = TLS_SETTING(tls_force_insecure_host_tlsa_lookup);
#undef TLS_SETTING
    read.session_limit = config->smtp_tls_session_cache_limit;
    if (!tls_level_parse(config->smtp_tls_dane_insecure_mx_policy, &read.insecure_mx))
        return failure_set(failure, "bad smtp_tls_dane_insecure_mx_policy");
    if (!check(&read, failure)) return false;
    *settings = read;
    return true;
}
