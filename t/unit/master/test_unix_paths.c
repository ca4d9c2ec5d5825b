/* Which UNIX sockets a parameter's value names. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "buf.h"
#include "memory.h"
#include "unix_paths.h"

static const struct {
    const char *parameter, *value, *wanted; /* paths, a blank after each */
} rows[] = {
    {"default_transport", "smtp", ""},
    {"virtual_transport", "lmtp:unix:/run/dovecot/lmtp", "/run/dovecot/lmtp "},
    {"virtual_transport", "lmtp:UNIX:/run/dovecot/lmtp", "/run/dovecot/lmtp "},
    {"local_transport", "lmtp:unix:private/dovecot", "private/dovecot "},
    {"mailbox_transport", "lmtp:unix:", ""},
    {"mailbox_transport", "lmtp:myunix:/x", ""},
    {"relayhost", "unix:/a, [mx.example]:25 unix:/b", "/a /b "},
    {"smtp_fallback_relay", "[mx.example], unix:/c", "/c "},
    {"content_filter", "lmtp:unix:/run/filter", "/run/filter "},
    {"myhostname", "unix:/a", ""},
    {"smtpd_milters", "unix:/run/milter", ""},
    {"local_recipient_maps", "proxy:unix:passwd.byname lmdb:/etc/aliases", ""},
    {"transport_maps", "lmdb:/etc/transport", ""},
    {"transport_maps", "socketmap:unix:/run/map:transport", ""},
    {"transport_maps", "inline:{example.org=lmtp:unix:/a, example.net=lmtp:unix:/b}", "/a /b "},
    {"transport_maps", "lmdb:/x inline:{ { example.org = lmtp:unix:/run/a } }", "/run/a "},
    {"transport_maps", "proxy:inline:{ { * = lmtp:unix:/run/a } }, lmdb:/x", "/run/a "},
    {"transport_maps", "static:lmtp:unix:/run/a", "/run/a "},
    {"transport_maps", "static:{lmtp:unix:/run/a}", "/run/a "},
    {"transport_maps", "randmap:{lmtp:unix:/1, {lmtp:unix:/2}}", "/1 /2 "},
    {"transport_maps", "pcre:{{/@a\\.example$/ lmtp:unix:/p}, {/./ smtp:}}, pcre:unix:/no", "/p "},
    {"transport_maps", "regexp:{{/a/ lmtp:unix:/r}} cidr:{{::/0 lmtp:unix:/c}}", "/r /c "},
    {"transport_maps", "unionmap:{socketmap:unix:/no:x, inline:{a=lmtp:unix:/yes}}", "/yes "},
    {"transport_maps", "pipemap:{unionmap:{static:lmtp:unix:/deep}}", "/deep "},
    {"transport_maps", "inline:{ a=lmtp:unix:/unbalanced", ""},
    {"sender_dependent_relayhost_maps", "inline:{@a.example=unix:/s}", "/s "},
    {"lmtp_unix_sockets", "", ""},
    {"lmtp_unix_sockets", "/run/a, unix:/run/b private/c", "/run/a /run/b private/c "},
    {"relayhost",
     "unix:/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/0123456789/012345678",
     ""},
};

static void note(struct str path, void *context) { buf_printf(context, "%.*s ", STR_ARGS(path)); }

static void test_rows(void **state) {
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf found = buf_make(0);
        unix_paths_each(str_from(rows[i].parameter), str_from(rows[i].value), note, &found);
        if (!str_equal(buf_str(&found), str_from(rows[i].wanted)))
            fail_msg("%s = %s: %s", rows[i].parameter, rows[i].value, buf_string(&found));
        buf_free(&found);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
