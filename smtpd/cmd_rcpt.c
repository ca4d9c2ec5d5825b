/* RCPT: adds a recipient (RFC 5321 4.1.1.3; NOTIFY, ORCPT). Where a recipient is
 * refused, and why, is policy.c's: relay rules, restrictions, unknown addresses. */
#include "smtpd.h"
#include "xtext.h"

static unsigned address_flags(const struct session *session) {
    unsigned flags = MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY;
    if (session->smtpd->config->strict_rfc821_envelopes) flags |= MAIL_ADDRESS_STRICT;
    return session->transaction->smtputf8 ? flags | MAIL_ADDRESS_UTF8 : flags;
}

/* Too many: 452, so that the client comes back with the rest (RFC 5321 4.5.3.1.10). */
static bool has_room(struct session *session) {
    struct transaction *transaction = session->transaction;
    const struct config *config = session->smtpd->config;
    if (transaction->recipient_count < (uint64_t)config->smtpd_recipient_limit) return true;
    if (transaction->overshoot++ >= (uint64_t)config->smtpd_recipient_overshoot_limit) session->errors++;
    return reply(session, 452, "4.5.3", "Error: too many recipients");
}

static struct str domain_of(struct str address) {
    size_t at = str_find_last(address, '@');
    return at == STR_NONE ? STR_EMPTY : str_from_offset(address, at + 1);
}

/* RCPTDOMAINMAX (RFC 9422): at most so many domains, counted when there is one that no recipient has yet. */
static bool domain_has_room(struct session *session, struct str domain) {
    const struct transaction *transaction = session->transaction;
    int64_t limit = session->smtpd->config->smtpd_recipient_domain_limit, count = 0;
    if (limit == 0) return true;
    for (size_t i = 0; i < transaction->recipient_count && count < limit; i++) {
        struct str one = domain_of(transaction->recipients[i].address);
        bool first = true;
        if (str_equal_nocase(one, domain)) return true;
        for (size_t j = 0; j < i && first; j++)
            first = !str_equal_nocase(domain_of(transaction->recipients[j].address), one);
        if (first) count++;
    }
    return count < limit || reply(session, 452, "4.5.3", "Error: too many recipient domains");
}

static bool below_rate(struct session *session) {
    uint64_t count = 0;
    if (limits_count(session->smtpd->limits, session->rate_key, LIMITED_RECIPIENT, &count)) return true;
    limits_log(session, "Recipient address rate", count);
    return reply(session, 450, "4.7.1", "Error: too many recipients from %.*s", STR_ARGS(session->client.address));
}

/* <postmaster> and other names without a domain are ours. */
static bool complete(struct session *session, struct mail_address *recipient) {
    struct mail_address whole;
    if (mail_address_domain(recipient).length > 0) return false;
    if (mail_address_from_parts(mail_address_local(recipient), session->smtpd->config->myorigin,
                                address_flags(session) | MAIL_ADDRESS_UTF8, &whole) == MAIL_ADDRESS_OK)
        *recipient = whole;
    return true;
}

/* "type;address" with the address in its own form. */
static void decode_orcpt(const struct smtp_recipient *recipient, struct buf *orcpt) {
    if (recipient->orcpt_type.length == 0) return;
    buf_append(orcpt, recipient->orcpt_type);
    buf_append_char(orcpt, ';');
    bool utf8 = str_equal_nocase(recipient->orcpt_type, STR("utf-8"));
    if (!(utf8 && utf8_address_decode(orcpt, recipient->orcpt)) && !xtext_decode(orcpt, recipient->orcpt))
        buf_clear(orcpt);
}

/* ---- a client that pipelines (RFC 2920) has named its next recipients already: one question to lookup for all of
 * them, where each would otherwise wait for its own */

/* The address of the first command in input, if that is a whole RCPT; the rest follows in *input. */
static bool next_pipelined(const struct session *session, struct str *input, struct smtp_recipient *recipient) {
    struct smtp_command_error error;
    struct str line, verb, argument;
    return str_cut(*input, '\n', &line, input) && smtp_command_split(str_trim(line), &verb, &argument) &&
           str_equal_nocase(verb, STR("RCPT")) &&
           smtp_parse_rcpt(argument, smtpd_parameters(session), address_flags(session), recipient, &error);
}

static void foresee_pipelined(struct session *session, const struct mail_address *first) {
    struct transaction *transaction = session->transaction;
    struct str input = stream_peek(session->stream), addresses[RESOLVE_AT_ONCE];
    struct smtp_recipient recipient;
    if (transaction->foreseen > 0) transaction->foreseen--;
    if (transaction->recipient_count == 0 || transaction->foreseen > 0) return;
    struct arena *arena = arena_create(RESOLVE_AT_ONCE * 1000);
    size_t count = 0;
    addresses[count++] = mail_address_text(first);
    while (count < RESOLVE_AT_ONCE && next_pipelined(session, &input, &recipient) &&
           arena_copy(arena, mail_address_text(&recipient.recipient), &addresses[count]))
        count++;
    transaction->foreseen = count;
    if (count > 1)
        resolve_foresee_recipients(session->smtpd->resolve, addresses, count, mail_address_text(&transaction->sender),
                                   deadline_in(SMTPD_FORESEE_TIME));
    arena_destroy(&arena);
}

bool cmd_rcpt(struct session *session, struct str argument) {
    struct smtp_recipient recipient;
    struct smtp_command_error error;
    struct transaction *transaction = session->transaction;
    transaction->refused_recipients = true; /* until this one is accepted */
    if (!smtp_parse_rcpt(argument, smtpd_parameters(session), address_flags(session), &recipient, &error))
        return reply_command_error(session, &error);
    if (!has_room(session) || !below_rate(session)) return false;
    struct buf orcpt = buf_make(600);
    decode_orcpt(&recipient, &orcpt);
    bool incomplete = complete(session, &recipient.recipient);
    foresee_pipelined(session, &recipient.recipient);
    bool good = domain_has_room(session, mail_address_domain(&recipient.recipient)) &&
                policy_rcpt(session, "RCPT", &recipient.recipient, incomplete);
    if (good && !transaction_add_recipient(transaction, mail_address_text(&recipient.recipient), buf_str(&orcpt),
                                           recipient.notify))
        good = reply(session, 452, "4.5.3", "Error: too many recipients");
    buf_free(&orcpt);
    if (!good) login_rejected(session);
    return good && reply(session, 250, "2.1.5", "Ok");
}
