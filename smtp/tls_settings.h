/* tls_settings: the smtp_tls_* or lmtp_tls_* parameters of a service. */
#ifndef TERN_SMTP_TLS_SETTINGS_H
#define TERN_SMTP_TLS_SETTINGS_H

#include "config.h"
#include "tls_policy.h"

/* What is one for opportunistic and another for mandatory TLS. */
struct tls_grade_settings {
    struct str protocols, grade;
};

struct tls_settings {
    enum tls_level level;
    bool wrapper_mode;
    bool has_certificate;    /* we show one, which keys holds */
    const char *policy_maps; /* the parameter's name; NULL: there are none */
    struct str verify_match, secure_match, fingerprint_match;
    struct str fingerprint_digest;
    struct str ca_file, ca_path;
    bool require_tls; /* mail may ask for TLS where the level does not */
    int verify_depth;
    struct str server_name;
    struct tls_grade_settings opportunistic, mandatory;
    struct str exclude, mandatory_exclude; /* the latter adds to the former */
    int64_t log_level;
    bool note_offer, block_early_reply, reuse, log_status;
    int64_t session_timeout, starttls_timeout; /* ms */
    int64_t session_limit;
    bool force_tlsa;
    enum tls_level insecure_mx; /* MAY, ENCRYPT or DANE */
};

/* False: failure says which parameter is no good. *settings is untouched then. */
MUST_USE bool tls_settings_read(const struct config *config, bool lmtp, struct tls_settings *settings,
                                struct failure *failure);

#endif
