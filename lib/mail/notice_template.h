/* The texts of notices: built in, or from bounce_template_file in Postfix's form:
 *
 *   failure_template = <<END
 *   Charset: us-ascii
 *   From: Mail Delivery System <MAILER-DAEMON>
 *   Subject: Undelivered Mail Returned to Sender
 *   Postmaster-Subject: Postmaster Copy: Undelivered Mail
 *
 *   This is the mail system at host $myhostname. ...
 *   END
 *
 * Pure: text in, templates out. $name and ${name} of a few parameters are expanded
 * when a notice is written. */
#ifndef TERN_TEMPLATE_H
#define TERN_TEMPLATE_H

#include "buf.h"
#include "failure.h"
#include "str.h"

struct bounce_template {
    struct str charset, from, subject, postmaster_subject, body;
};
struct bounce_templates {
    struct bounce_template failure, delay, success, verify;
};

/* The built-in ones. */
void bounce_templates_default(struct bounce_templates *templates);
/* Puts those of a file's text in their place; the text must outlive them. */
MUST_USE bool bounce_templates_parse(struct str text, struct bounce_templates *templates, struct failure *failure);

/* What $name stands for. */
struct bounce_word {
    const char *name;
    struct str value;
};
/* Appends text with its $names replaced; an unknown one stays as it is. */
bool bounce_template_expand(struct str text, const struct bounce_word *words, size_t count, struct buf *out);

#endif
