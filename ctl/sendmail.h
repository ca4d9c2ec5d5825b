/* sendmail: what its files share: one message being put together. */
#ifndef TERN_SENDMAIL_H
#define TERN_SENDMAIL_H

#include "address.h"
#include "config.h"
#include "delivery.h"
#include "ipc.h"
#include "submit.h"

struct letter {
    const struct config *config;
    struct arena *arena;
    struct str sender; /* internal form; empty: the caller's own name */
    bool null_sender;
    struct str full_name, envelope_id;
    unsigned return_content, notify, body;
    enum report_kind report;
    bool smtputf8, require_tls;
    bool dot_is_content;     /* -i */
    bool extract_recipients; /* -t */
    struct buf content;      /* LF line ends */
    struct buf rows;         /* packed recipients */
    uint32_t recipient_count;
    char queue_id[SUBMIT_ID_SIZE]; /* after letter_submit; empty if the message is in the drop folder */
};

/* letter.c. Each returns an exit status of sysexits; text on standard error is said by the caller. */
/* Adds a recipient in external or internal form; a comma list is accepted, as old callers write it. */
int letter_add_recipients(struct letter *letter, struct str addresses, struct failure *failure);
/* Adds one in internal form with DSN parameters. */
int letter_add_recipient(struct letter *letter, struct str address, struct str orcpt, unsigned notify,
                         struct failure *failure);
/* Reads standard input to its end or to a lone dot. */
int letter_read(struct letter *letter, struct failure *failure);
/* -bv: a message to carry a probe, with nothing in it that anybody wrote. */
int letter_write_probe(struct letter *letter, struct failure *failure);
/* -t: To, Cc and Bcc (or their Resent- kin) become recipients, Bcc goes. */
int letter_extract_recipients(struct letter *letter, struct failure *failure);
int letter_submit(struct letter *letter, struct failure *failure);

/* sendmail_smtp.c: -bs, an SMTP dialogue on standard input and output. */
int sendmail_smtp(const struct config *config);

#endif
