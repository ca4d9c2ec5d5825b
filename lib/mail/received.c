/* received: trace fields and the fields that a submission lacks. */
#include "received.h"
#include "address_list.h"
#include "date.h"
#include "domain.h"
#include "header.h"
#include "utf8.h"

/* A stranger's word within a trace field: no controls, no blanks, nothing that
 * ends a comment or begins another clause. */
static void append_clean(struct buf *out, struct str s) {
    while (s.length > 0) {
        uint32_t c = 0;
        size_t taken = utf8_decode(s, &c);
        bool bad = taken == 0 || utf8_is_control(c) || (c < 0x80 && strchr("()<>;\\\" ", (int)c) != NULL);
        if (taken == 0) taken = 1;
        buf_append(out, bad ? STR("?") : str_slice(s, 0, taken));
        s = str_from_offset(s, taken);
    }
}

/* Text of ours inside a comment: blanks and one level of brackets may stay. */
static void append_comment_text(struct buf *out, struct str s) {
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        bool bad = c < ' ' || c > '~' || c == '\\';
        buf_append_char(out, bad ? '?' : c == '(' ? '[' : c == ')' ? ']' : c);
    }
}

/* Words of ours that have comments of their own in them, in pairs: "X (256/256 bits)". */
static void append_own_text(struct buf *out, struct str s) {
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        buf_append_char(out, c < ' ' || c > '~' || c == '\\' ? '?' : c);
    }
}

/* A name out of a stranger's certificate, between quotes in a comment. */
static void append_quoted(struct buf *out, struct str s) {
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.length; i++) {
        char c = s.data[i];
        buf_append_char(out, c < ' ' || c > '~' || strchr("()\\\"", c) ? '?' : c);
    }
    buf_append_char(out, '"');
}

/* Pieces are collected, then put on lines where they fit. */
struct folder {
    struct buf *out;
    struct buf piece;
    size_t column;
    bool first;
};

static void put_piece(struct folder *folder) {
    size_t needed = folder->piece.length + 1;
    bool fold = !folder->first && folder->column + needed > 78;
    if (fold) {
        buf_append(folder->out, STR("\n\t"));
        folder->column = 8 + folder->piece.length;
    } else {
        buf_append_char(folder->out, ' ');
        folder->column += needed;
    }
    buf_append(folder->out, buf_str(&folder->piece));
    buf_clear(&folder->piece);
    folder->first = false;
}

/* RFC 5321 4.4 From-domain with TCP-info: "from HELO (NAME [ADDRESS])". */
static void put_from(struct folder *folder, const struct received *received) {
    struct buf *piece = &folder->piece;
    buf_append(piece, STR("from "));
    if (received->helo.length > 0) {
        append_clean(piece, received->helo);
    } else {
        buf_append(piece, STR("unknown"));
    }
    put_piece(folder);
    buf_append_char(piece, '(');
    append_clean(piece, received->client_name.length > 0 ? received->client_name : STR("unknown"));
    buf_append(piece, str_find(received->client_address, ':') == STR_NONE ? STR(" [") : STR(" [IPv6:"));
    append_clean(piece, received->client_address);
    buf_append(piece, STR("])"));
    put_piece(folder);
}

/* "(Client CN "name", Issuer "name" (verified OK))" and its like, as Postfix has them. */
static void put_tls_client(struct folder *folder, const struct received *received) {
    struct buf *piece = &folder->piece;
    bool verified = received->tls_client == RECEIVED_CLIENT_VERIFIED;
    switch (received->tls_client) {
    case RECEIVED_CLIENT_UNASKED:
        buf_append(piece, STR("(No client certificate requested)"));
        break;
    case RECEIVED_CLIENT_SILENT:
        buf_append(piece, STR("(Client did not present a certificate)"));
        break;
    case RECEIVED_CLIENT_UNVERIFIED:
    case RECEIVED_CLIENT_VERIFIED:
        buf_append(piece, STR("(Client CN "));
        append_quoted(piece, received->tls_subject);
        buf_append(piece, STR(", Issuer "));
        append_quoted(piece, received->tls_issuer);
        buf_append(piece, verified ? STR(" (verified OK))") : STR(" (not verified))"));
        break;
    }
    put_piece(folder);
}

/* "(using TLSv1.3 with cipher X details)" */
static void put_tls(struct folder *folder, const struct received *received) {
    struct buf *piece = &folder->piece;
    if (received->tls_protocol.length == 0) return;
    buf_append(piece, STR("(using "));
    append_comment_text(piece, received->tls_protocol);
    if (received->tls_cipher.length > 0) {
        buf_append(piece, STR(" with cipher"));
        put_piece(folder);
        append_own_text(piece, received->tls_cipher);
    }
    struct str word, rest = received->tls_details;
    while (str_next_word(&rest, " ", &word)) {
        put_piece(folder);
        append_own_text(piece, word);
    }
    buf_append_char(piece, ')');
    put_piece(folder);
    put_tls_client(folder, received);
}

static void put_user(struct folder *folder, const struct received *received) {
    struct buf *piece = &folder->piece;
    if (received->authenticated.length > 0) {
        buf_append(piece, STR("(Authenticated sender: "));
        append_clean(piece, received->authenticated);
        buf_append_char(piece, ')');
        put_piece(folder);
    }
    if (received->user_id >= 0) {
        buf_printf(piece, "(from userid %lld)", (long long)received->user_id);
        put_piece(folder);
    }
}

static void put_clause(struct folder *folder, const char *keyword, struct str value) {
    if (value.length == 0) return;
    buf_append(&folder->piece, str_from(keyword));
    buf_append_char(&folder->piece, ' ');
    append_clean(&folder->piece, value);
    put_piece(folder);
}

bool received_append(struct buf *out, const struct received *received) {
    struct folder folder = {.out = out, .piece = buf_make(0), .column = strlen("Received:"), .first = true};
    struct buf *piece = &folder.piece;
    buf_append(out, STR("Received:"));
    if (received->client_address.length > 0) put_from(&folder, received);
    put_tls(&folder, received);
    if (received->client_address.length > 0) put_user(&folder, received);
    put_clause(&folder, "by", received->by);
    if (received->mail_name.length > 0) {
        buf_append_char(piece, '(');
        append_comment_text(piece, received->mail_name);
        buf_append_char(piece, ')');
        put_piece(&folder);
    }
    if (received->client_address.length == 0) put_user(&folder, received);
    put_clause(&folder, "with", received->with);
    put_clause(&folder, "id", received->queue_id);
    if (received->recipient != NULL) {
        buf_append(piece, STR("for "));
        mail_address_append_path(piece, received->recipient);
        put_piece(&folder);
    }
    if (received->priority != 0) {
        buf_printf(piece, "priority %d", received->priority);
        put_piece(&folder);
    }
    /* The ';' stands with what comes before it, the date on a line of its own. */
    buf_append(out, STR(";\n\t"));
    date_append_rfc5322(out, received->date, received->offset_minutes);
    buf_append_char(out, '\n');
    buf_free(&folder.piece);
    return !buf_overflowed(out);
}

const char *received_protocol(unsigned flags) {
    static const char *const names[4][4] = {
        {"ESMTP", "ESMTPS", "ESMTPA", "ESMTPSA"},
        {"LMTP", "LMTPS", "LMTPA", "LMTPSA"},
        {"UTF8SMTP", "UTF8SMTPS", "UTF8SMTPA", "UTF8SMTPSA"},
        {"UTF8LMTP", "UTF8LMTPS", "UTF8LMTPA", "UTF8LMTPSA"},
    };
    size_t column = (flags & RECEIVED_TLS ? 1U : 0U) + (flags & RECEIVED_AUTHENTICATED ? 2U : 0U);
    size_t row = (flags & RECEIVED_LMTP ? 1U : 0U) + (flags & RECEIVED_UTF8 ? 2U : 0U);
    /* HELO knows neither TLS nor AUTH, but a client may greet anew with it. */
    if (row == 0 && column == 0 && !(flags & RECEIVED_EHLO)) return "SMTP";
    return names[row][column];
}

bool message_id_append(struct buf *out, int64_t seconds, struct str queue_id, struct str host) {
    struct date_fields f = {.year = 1970, .month = 1, .day = 1};
    date_split(seconds, 0, &f); /* out of range leaves the epoch; the queue ID is unique by itself */
    buf_printf(out, "<%04d%02d%02d%02d%02d%02d.", f.year, f.month, f.day, f.hour, f.minute, f.second);
    append_clean(out, queue_id);
    buf_append_char(out, '@');
    append_clean(out, host);
    return buf_append_char(out, '>');
}

bool message_id_field_append(struct buf *out, int64_t seconds, struct str queue_id, struct str host) {
    buf_append(out, STR("Message-ID: "));
    message_id_append(out, seconds, queue_id, host);
    return buf_append_char(out, '\n');
}

bool date_field_append(struct buf *out, int64_t seconds, int offset_minutes) {
    buf_append(out, STR("Date: "));
    date_append_rfc5322(out, seconds, offset_minutes);
    return buf_append_char(out, '\n');
}

bool from_field_append(struct buf *out, struct str name, const struct mail_address *address) {
    struct buf external = buf_make(0);
    mail_address_append_external(&external, address);
    buf_append(out, STR("From: "));
    address_list_append_mailbox(out, utf8_is_text(name) ? name : STR_EMPTY, buf_str(&external));
    buf_free(&external);
    return buf_append_char(out, '\n');
}
