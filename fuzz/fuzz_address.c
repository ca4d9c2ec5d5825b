/* Fuzz target: an address that is accepted must come back from its own external form, and hold nothing harmful. */
#include "address.h"
#include "utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

static void one(struct str text, unsigned flags) {
    struct mail_address address, again;
    struct str rest = STR_EMPTY;
    struct buf out = {0};
    if (mail_address_parse_path(text, flags, &address, &rest) == MAIL_ADDRESS_OK) {
        struct str internal = mail_address_text(&address);
        check(rest.length <= text.length && internal.length <= MAIL_ADDRESS_TEXT_MAX);
        check(utf8_is_text(internal) && ((flags & MAIL_ADDRESS_UTF8) || str_is_ascii(internal)));
        check(mail_address_append_path(&out, &address));
        check(mail_address_parse_path(buf_str(&out), flags | MAIL_ADDRESS_STRICT, &again, &rest) == MAIL_ADDRESS_OK ||
              !(flags & MAIL_ADDRESS_STRICT));
        check(mail_address_parse_path(buf_str(&out), flags, &again, &rest) == MAIL_ADDRESS_OK);
        check(rest.length == 0 && str_equal(mail_address_text(&again), internal));
        check(mail_address_from_internal(internal, flags, &again) == MAIL_ADDRESS_OK);
        check(mail_address_equal(&address, &again) && again.local_length == address.local_length);
        buf_clear(&out);
        check(mail_address_append_key(&out, &address, MAIL_FOLD_LOCAL | MAIL_FOLD_ASCII_DOMAIN | MAIL_FOLD_EXTERNAL));
        struct str base, extension = STR_EMPTY;
        mail_address_split_extension(mail_address_local(&address), STR("+-"), true, &base, &extension);
        (void)mail_address_traits(&address);
    }
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_make((const char *)data, size);
    struct mail_address address;
    for (unsigned flags = 0; flags < 64; flags += 3)
        one(text, flags);
    one(text, 63);
    (void)!mail_address_from_internal(text, 63, &address);
    (void)!mail_address_parse(text, 61, &address);
    return 0;
}
