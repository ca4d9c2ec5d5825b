/* The letter that the administrator and the owner of an account get when its mail
 * goes on hold. A letter that cannot be written is logged; the hold stands anyway. */
#include "logins.h"
#include "address.h"
#include "address_list.h"
#include "date.h"
#include "intake.h"
#include "log.h"
#include "qmgr.h"
#include "received.h"
#include <time.h>

#define PATIENCE 60000 /* ms */

struct letter {
    struct qmgr *qmgr;
    struct buf login, reason;
};

static int offset_minutes(int64_t seconds) {
    struct tm fields;
    time_t when = (time_t)seconds;
    return localtime_r(&when, &fields) ? (int)(fields.tm_gmtoff / 60) : 0;
}

static void append_address(struct buf *out, struct str name, struct str origin) {
    buf_append(out, name);
    if (str_find(name, '@') == STR_NONE) buf_printf(out, "@%.*s", STR_ARGS(origin));
}

static void append_header(const struct letter *letter, struct str queue_id, struct str to, struct buf *out) {
    const struct config *config = letter->qmgr->config;
    int64_t now = clock_date() / CLOCK_SECOND;
    buf_printf(out, "Received: by %.*s (%.*s)\n\tid %.*s; ", STR_ARGS(config->myhostname), STR_ARGS(config->mail_name),
               STR_ARGS(queue_id));
    date_append_rfc5322(out, now, offset_minutes(now));
    buf_append_char(out, '\n');
    date_field_append(out, now, offset_minutes(now));
    buf_printf(out, "From: Mail Delivery System <MAILER-DAEMON@%.*s>\nTo: %.*s\n", STR_ARGS(config->myorigin),
               STR_ARGS(to));
    buf_append(out, STR("Subject: Mail of an account was stopped\n"));
    message_id_field_append(out, now, queue_id, config->myhostname);
    buf_append(out, STR("Auto-Submitted: auto-generated\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
                        "Content-Transfer-Encoding: 8bit\n\n"));
}

static void append_text(const struct letter *letter, struct buf *out) {
    const struct config *config = letter->qmgr->config;
    const char *login = buf_string(&letter->login);
    buf_printf(out,
               "This is the mail system at host %.*s.\n\n"
               "The account\n\n    %s\n\nhas sent mail in a way in which stolen accounts do:\n\n    %s\n\n"
               "What it sends from now on, and what of it waits here, is kept and not\n"
               "delivered until the administrator has looked at it.\n\n"
               "To the owner of the account: if this was not you, change your password\n"
               "now, and tell the administrator. If it was you, tell the administrator too.\n\n"
               "To the administrator: \"tern submission\" shows the account,\n"
               "\"tern submission lift %s\" lets it send again, and\n"
               "\"tern submission release %s\" or \"tern submission delete %s\"\n"
               "does that with the mail that was kept.\n",
               STR_ARGS(config->myhostname), login, buf_string(&letter->reason), login, login, login);
}

static bool write_letter(const struct letter *letter, struct intake_failure *failure) {
    struct qmgr *qmgr = letter->qmgr;
    struct buf admin = buf_make(500), owner = buf_make(500), to = buf_make(1100), out = buf_make(0);
    struct intake *intake = NULL;
    struct ipc_recipient recipients[2];
    append_address(&admin, qmgr->config->login_notice_recipient, qmgr->config->myorigin);
    append_address(&owner, buf_str(&letter->login), qmgr->config->myorigin);
    recipients[0] = (struct ipc_recipient){.address = buf_str(&admin), .notify = NOTIFY_NEVER};
    recipients[1] = (struct ipc_recipient){.address = buf_str(&owner), .notify = NOTIFY_NEVER, .index = 1};
    struct mail_address address;
    bool has_owner = mail_address_from_internal(buf_str(&owner), MAIL_ADDRESS_LONG, &address) == MAIL_ADDRESS_OK;
    buf_append(&to, buf_str(&admin));
    if (has_owner) buf_printf(&to, ", %s", buf_string(&owner));
    bool good = intake_open(qmgr->intake, 0, deadline_in(PATIENCE), &intake, failure);
    if (good) {
        append_header(letter, intake_queue_id(intake), buf_str(&to), &out);
        append_text(letter, &out);
        bool ignored = intake_write(intake, buf_str(&out));
        (void)ignored; /* the commit says so */
        const struct intake_envelope envelope = {.sender = STR_EMPTY,
                                                 .body = BODY_8BIT,
                                                 .client_name = STR("localhost"),
                                                 .client_address = STR("local"),
                                                 .protocol = STR("local"),
                                                 .helo = qmgr->config->myhostname,
                                                 .recipients = recipients,
                                                 .recipient_count = has_owner ? 2 : 1};
        good = intake_commit(&intake, &envelope, deadline_in(PATIENCE), failure);
    }
    buf_free(&admin);
    buf_free(&owner);
    buf_free(&to);
    buf_free(&out);
    return good;
}

static void letter_free(struct letter *letter) {
    buf_free(&letter->login);
    buf_free(&letter->reason);
    MEMORY_FREE(letter);
}

static void write_task(void *argument) {
    struct letter *letter = argument;
    struct intake_failure failure = {0};
    if (!write_letter(letter, &failure))
        log_warning("nobody could be told by mail that account %s is on hold: %s", buf_string(&letter->login),
                    failure.text);
    letter_free(letter);
}

/* Names come from AUTH or a table, but they go into a header here. */
static void append_clean(struct buf *out, struct str text) {
    for (size_t i = 0; i < text.length; i++)
        if ((unsigned char)text.data[i] > ' ' && text.data[i] != 0x7f) buf_append_char(out, text.data[i]);
}

void logins_tell(struct qmgr *qmgr, struct str login, struct str reason) {
    struct letter *letter = MEMORY_NEW(struct letter);
    letter->qmgr = qmgr;
    letter->login = buf_make(0);
    letter->reason = buf_make(0);
    append_clean(&letter->login, login);
    buf_append(&letter->reason, reason);
    if (task_start("letter", write_task, letter)) return;
    log_warning("out of resources: nobody is told by mail that account %s is on hold", buf_string(&letter->login));
    letter_free(letter);
}
