/* Fuzz target: SMTP command lines as a server reads them. */
#include "smtp_command.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void argument_of(struct str argument) {
    struct smtp_mail mail;
    struct smtp_recipient recipient;
    struct smtp_command_error error = {0};
    struct smtp_attribute attributes[SMTP_ATTRIBUTES_MAX];
    struct buf values = {0};
    uint64_t chunk = 0;
    size_t count = 0;
    bool last = false;
    if (smtp_parse_mail(argument, 0x3ff, 0, &mail, &error)) {
        check(mail.smtputf8 || str_is_ascii(mail_address_text(&mail.sender)));
        check(mail.envid.length <= SMTP_ENVID_MAX);
    } else {
        check(error.reply_code >= 500 && error.text != NULL && error.status.class == 5);
    }
    if (!smtp_parse_mail(argument, 0, MAIL_ADDRESS_STRICT, &mail, &error)) check(error.reply_code >= 500);
    if (smtp_parse_rcpt(argument, 0x3ff, MAIL_ADDRESS_UTF8, &recipient, &error)) {
        check(!mail_address_is_null(&recipient.recipient) && recipient.orcpt.length <= SMTP_ORCPT_MAX);
    }
    if (smtp_parse_bdat(argument, 1000, &chunk, &last, &error)) check(chunk <= 1000);
    if (smtp_parse_attributes(argument, &values, attributes, &count, &error)) {
        check(count > 0 && count <= SMTP_ATTRIBUTES_MAX);
        for (size_t i = 0; i < count; i++)
            check(utf8_is_text(attributes[i].value));
    }
    (void)smtp_helo_classify(argument, true);
    buf_free(&values);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str verb, argument;
    if (!smtp_command_split(str_make((const char *)data, size), &verb, &argument)) return 0;
    check(verb.length > 0 && verb.length + argument.length <= size);
    (void)smtp_command_is_foreign(verb);
    argument_of(argument);
    return 0;
}
