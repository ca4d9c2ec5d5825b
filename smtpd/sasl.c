/* sasl: which SASL mechanisms AUTH offers to whom. Auth says which there are; the configuration of this
 * service leaves some of them out. */
#include "log.h"
#include "smtpd.h"

/* What the security options are about; as Dovecot classes its mechanisms. */
enum mechanism_trait { SHOWS_PASSWORD = 1, IS_ANONYMOUS = 2, IS_MUTUAL = 4 };

static unsigned traits_of(struct str mechanism) {
    static const struct {
        struct str name;
        unsigned traits;
    } rows[] = {
        {STR_INIT("PLAIN"), SHOWS_PASSWORD},       {STR_INIT("LOGIN"), SHOWS_PASSWORD},
        {STR_INIT("OAUTHBEARER"), SHOWS_PASSWORD}, {STR_INIT("XOAUTH2"), SHOWS_PASSWORD},
        {STR_INIT("ANONYMOUS"), IS_ANONYMOUS},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (str_equal_nocase(mechanism, rows[i].name)) return rows[i].traits;
    return str_starts_nocase(mechanism, STR("SCRAM-")) ? (unsigned)IS_MUTUAL : 0;
}

static bool options_permit(struct str options, struct str mechanism) {
    unsigned traits = traits_of(mechanism);
    struct str word;
    while (str_next_word(&options, ", \t\r\n", &word)) {
        if (str_equal_nocase(word, STR("noplaintext")) && (traits & SHOWS_PASSWORD)) return false;
        if (str_equal_nocase(word, STR("noanonymous")) && (traits & IS_ANONYMOUS)) return false;
        if (str_equal_nocase(word, STR("mutual_auth")) && !(traits & IS_MUTUAL)) return false;
    }
    return true;
}

static bool is_permitted(const struct session *session, struct str mechanism) {
    const struct smtpd *smtpd = session->smtpd;
    struct failure failure;
    struct str options = session->tls ? smtpd->config->smtpd_sasl_tls_security_options
                                            : smtpd->config->smtpd_sasl_security_options;
    return options_permit(options, mechanism) && match_list_name(smtpd->sasl_filter, mechanism, &failure) == MATCH_YES;
}

/* Nobody can listen to what is said over a UNIX socket. */
static bool is_private(const struct session *session) {
    return session->tls || endpoint_is_local(&session->peer);
}

bool sasl_is_offered(const struct session *session) {
    return session->mechanisms.length > 0;
}

/* RFC 9266, RFC 5929; and whose certificate it was, if it can be believed. */
static struct str take_bindings(const struct session *session, struct sasl_bindings *bindings) {
    *bindings = (struct sasl_bindings){0};
    if (!session->tls) return STR_EMPTY;
    const struct tls_facts *facts = tls_connection_facts(session->tls);
    tls_channel_bindings(session->tls, bindings->exporter, &bindings->exporter_length, bindings->end_point,
                         &bindings->end_point_length);
    return facts->has_certificate && facts->trusted ? str_from(facts->subject) : STR_EMPTY;
}

struct auth_subject sasl_subject(const struct session *session, struct sasl_bindings *bindings) {
    const struct config *config = session->smtpd->config;
    struct str certificate = take_bindings(session, bindings);
    return (struct auth_subject){
        .protocol = STR("smtp"),
        .client_address = session->client.address,
        .client_name = session->client.name,
        .local_name = config->myhostname,
        .realm = config->smtpd_sasl_local_domain,
        .encrypted = is_private(session) || !config->smtpd_tls_auth_only,
        .exporter = str_make((const char *)bindings->exporter, bindings->exporter_length),
        .end_point = str_make((const char *)bindings->end_point, bindings->end_point_length),
        .certificate = certificate,
    };
}

static bool may_be_offered(struct session *session) {
    struct smtpd *smtpd = session->smtpd;
    if (!smtpd->auth || (smtpd->config->smtpd_tls_auth_only && !is_private(session))) return false;
    return host_list_match(&smtpd->sasl_exceptions, smtpd->resolve, session->client.name, session->client.address) !=
           MATCH_YES;
}

void sasl_offer(struct session *session) {
    struct sasl_bindings bindings;
    buf_clear(&session->mechanisms);
    if (!may_be_offered(session)) return;
    struct arena *arena = arena_create(65536);
    struct auth_subject subject = sasl_subject(session, &bindings);
    struct str word, names = auth_mechanisms(session->smtpd->auth, &subject, deadline_in(SMTPD_LOOKUP_TIME), arena);
    /* A client that is not offered AUTH gives up for good; one that tries is told to come again. */
    if (!names.data) names = STR("PLAIN LOGIN");
    while (str_next_word(&names, " ", &word))
        if (is_permitted(session, word))
            buf_printf(&session->mechanisms, "%s%.*s", session->mechanisms.length ? " " : "", STR_ARGS(word));
    arena_destroy(&arena);
}
