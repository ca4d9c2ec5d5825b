/* Unit table of lib/mail/sasl_client: the examples of the RFCs, and servers that do not play by them. */
#include "expect.h"
#include "sasl_client.h"

static const struct sasl_binding no_tls = {.exporter = STR_INIT(""), .end_point = STR_INIT("")};
static const struct sasl_binding tls = {
    .exporter = STR_INIT("0123456789abcdef0123456789abcdef"), .end_point = STR_INIT("xyz"), .possible = true};

static struct sasl_client *begin(const char *mechanism, const char *user, const char *password,
                                 const struct sasl_binding *binding, const char *nonce) {
    bool token = strcmp(mechanism, "XOAUTH2") == 0 || strcmp(mechanism, "OAUTHBEARER") == 0;
    const struct sasl_mechanism *chosen = sasl_client_choose(str_from(mechanism), STR_EMPTY, 0, token, binding);
    struct sasl_credentials credentials = {.user = str_from(user),
                                           .password = str_from(password),
                                           .token = token,
                                           .host = STR("server.example.com"),
                                           .port = 143};
    if (!chosen) fail_msg("%s is not there", mechanism);
    return sasl_client_create(chosen, &credentials, binding, str_from(nonce));
}

/* A dialogue: what the client says first (NULL: nothing), then challenges and answers in turn. */
static void test_dialogues(void **state) {
    (void)state;
    static const struct {
        const char *mechanism, *user, *password, *nonce, *initial, *challenge[2], *answer[2];
        bool accepts;
    } rows[] = {
        {"LOGIN", "tim", "tan", "", NULL, {"Username:", "Password:"}, {"tim", "tan"}, true},
        {"CRAM-MD5",
         "tim",
         "tanstaaftanstaaf",
         "",
         NULL, /* RFC 2195 section 2 */
         {"<1896.697170952@postoffice.reston.mci.net>", NULL},
         {"tim b913a602c7eda7a495b4e6e7334d3890", NULL},
         true},
        {"SCRAM-SHA-1",
         "user",
         "pencil",
         "fyko+d2lbbFgONRv9qkxdawL", /* RFC 5802 section 5 */
         "n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
         {"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
         {"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", ""},
         true},
        {"SCRAM-SHA-256",
         "user",
         "pencil",
         "rOprNGfwEbeRWgbNEkqO", /* RFC 7677 section 3 */
         "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
         {"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
          "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
         {"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
          ""},
         true},
        {"SCRAM-SHA-256",
         "user",
         "pencil",
         "rOprNGfwEbeRWgbNEkqO", /* no proof of the server's */
         "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
         {"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", NULL},
         {"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
          NULL},
         false},
        {"OAUTHBEARER",
         "user@example.com",
         "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
         "", /* RFC 7628 section 4.1 */
         "n,a=user@example.com,\1host=server.example.com\1port=143\1"
         "auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\1\1",
         {NULL, NULL},
         {NULL, NULL},
         true},
        {"OAUTHBEARER",
         "a,b=c",
         "t",
         "",
         "n,a=a=2Cb=3Dc,\1host=server.example.com\1port=143\1auth=Bearer t\1\1",
         {"{\"status\":\"invalid_token\"}", NULL},
         {"\1", NULL},
         false},
        {"XOAUTH2",
         "someuser@example.com",
         "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg",
         "",
         "user=someuser@example.com\1auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\1\1",
         {"{\"status\":\"401\"}", NULL},
         {"", NULL},
         false},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sasl_client *client = begin(rows[i].mechanism, rows[i].user, rows[i].password, &no_tls, rows[i].nonce);
        struct buf said = buf_make(0);
        struct failure failure = {0};
        if (rows[i].initial) {
            sasl_client_begin(client, &said);
            expect_str(buf_str(&said), rows[i].initial, rows[i].mechanism);
        }
        for (size_t turn = 0; turn < 2 && rows[i].challenge[turn]; turn++) {
            buf_clear(&said);
            if (!sasl_client_answer(client, str_from(rows[i].challenge[turn]), &said, &failure))
                fail_msg("%s: %s", rows[i].mechanism, failure.text);
            expect_str(buf_str(&said), rows[i].answer[turn], rows[i].mechanism);
        }
        expect_int(sasl_client_accept(client, &failure), rows[i].accepts, rows[i].mechanism);
        buf_free(&said);
        sasl_client_free(&client);
    }
}

static void test_plain(void **state) {
    (void)state;
    struct sasl_client *client = begin("PLAIN", "tim", "tanstaaf", &no_tls, "");
    struct buf said = buf_make(0);
    struct failure failure = {0};
    sasl_client_begin(client, &said);
    assert_true(str_equal(buf_str(&said), str_make("\0tim\0tanstaaf", 13)));
    assert_false(sasl_client_answer(client, STR_EMPTY, &said, &failure)); /* there is no more to say */
    buf_free(&said);
    sasl_client_free(&client);
}

/* What the gs2 header says of channel binding: none to be had, could but the server does not, bound. */
static void test_binding(void **state) {
    (void)state;
    static const struct {
        const char *mechanism;
        const struct sasl_binding *binding;
        const char *initial;
    } rows[] = {
        {"SCRAM-SHA-1", &no_tls, "n,,n=u=3D=2C,r=abc"},
        {"SCRAM-SHA-1", &tls, "y,,n=u=3D=2C,r=abc"},
        {"SCRAM-SHA-1-PLUS", &tls, "p=tls-exporter,,n=u=3D=2C,r=abc"},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sasl_client *client = begin(rows[i].mechanism, "u=,", "p", rows[i].binding, "abc");
        struct buf said = buf_make(0);
        struct failure failure = {0};
        sasl_client_begin(client, &said);
        expect_str(buf_str(&said), rows[i].initial, rows[i].mechanism);
        buf_clear(&said);
        assert_true(sasl_client_answer(client, STR("r=abcdef,s=QSXCR+Q6sek8bf92,i=10"), &said, &failure));
        if (i == 2)
            assert_true(str_starts(buf_str(&said), STR("c=cD10bHMtZXhwb3J0ZXIsLDAxMjM0NTY3ODlhYmNkZWYwMTIzNDU2Nzg5"
                                                       "YWJjZGVm,r=abcdef,p=")));
        buf_free(&said);
        sasl_client_free(&client);
    }
}

/* Servers that cannot be followed. */
static void test_bad_servers(void **state) {
    (void)state;
    static const char *const rows[] = {
        "",
        "r=abc,s=QSXCR+Q6sek8bf92,i=10", /* nothing of its own in the nonce */
        "r=xyz,s=QSXCR+Q6sek8bf92,i=10",
        "r=abcd,s=!!!!,i=10",
        "r=abcd,s=,i=10",
        "r=abcd,s=QSXCR+Q6sek8bf92,i=0",
        "r=abcd,s=QSXCR+Q6sek8bf92,i=300001",
        "r=abcd,s=QSXCR+Q6sek8bf92,i=-1",
        "r=abcd,s=QSXCR+Q6sek8bf92",
        "m=ext,r=abcd,s=QSXCR+Q6sek8bf92,i=10",
        "i=10,s=QSXCR+Q6sek8bf92,r=abcd",
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct sasl_client *client = begin("SCRAM-SHA-256", "u", "p", &no_tls, "abc");
        struct buf said = buf_make(0);
        struct failure failure = {0};
        sasl_client_begin(client, &said);
        if (sasl_client_answer(client, str_from(rows[i]), &said, &failure)) fail_msg("%s", rows[i]);
        buf_free(&said);
        sasl_client_free(&client);
    }
    struct sasl_client *client = begin("SCRAM-SHA-256", "u", "p", &no_tls, "abc");
    struct buf said = buf_make(0);
    struct failure failure = {0};
    sasl_client_begin(client, &said);
    assert_true(sasl_client_answer(client, STR("r=abcd,s=QSXCR+Q6sek8bf92,i=10"), &said, &failure));
    assert_false(sasl_client_answer(client, STR("v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), &said, &failure));
    assert_false(sasl_client_accept(client, &failure));
    sasl_client_free(&client);
    buf_free(&said);
}

static void test_choice(void **state) {
    (void)state;
    static const struct {
        const char *offered, *filter, *security;
        bool token;
        const struct sasl_binding *binding;
        const char *chosen; /* "": none */
    } rows[] = {
        {"PLAIN LOGIN CRAM-MD5", "", "", false, &no_tls, "CRAM-MD5"},
        {"plain login", "", "", false, &no_tls, "PLAIN"},
        {"LOGIN", "", "", false, &no_tls, "LOGIN"},
        {"PLAIN LOGIN", "", "noplaintext, noanonymous", false, &no_tls, ""},
        {"PLAIN CRAM-MD5", "", "noplaintext", false, &no_tls, "CRAM-MD5"},
        {"PLAIN CRAM-MD5", "", "noactive", false, &no_tls, ""},
        {"CRAM-MD5 SCRAM-SHA-1", "", "noactive", false, &no_tls, "SCRAM-SHA-1"},
        {"CRAM-MD5 SCRAM-SHA-1 PLAIN", "", "nodictionary", false, &no_tls, "PLAIN"},
        {"CRAM-MD5 PLAIN", "", "mutual_auth", false, &no_tls, ""},
        {"SCRAM-SHA-256", "", "forward_secrecy", false, &no_tls, ""},
        {"SCRAM-SHA-256 SCRAM-SHA-256-PLUS", "", "", false, &no_tls, "SCRAM-SHA-256"},
        {"SCRAM-SHA-256 SCRAM-SHA-256-PLUS", "", "", false, &tls, "SCRAM-SHA-256-PLUS"},
        {"PLAIN LOGIN CRAM-MD5", "plain, login", "", false, &no_tls, "PLAIN"},
        {"PLAIN LOGIN CRAM-MD5", "!cram-md5, static:all", "", false, &no_tls, "PLAIN"},
        {"PLAIN LOGIN CRAM-MD5", "!cram-md5", "", false, &no_tls, "PLAIN"},
        {"PLAIN XOAUTH2 OAUTHBEARER", "", "", true, &no_tls, "OAUTHBEARER"},
        {"PLAIN XOAUTH2", "", "", true, &no_tls, "XOAUTH2"},
        {"PLAIN XOAUTH2", "", "noplaintext", true, &no_tls, ""},
        {"XOAUTH2", "", "", false, &no_tls, ""}, /* a password is no token */
        {"GSSAPI DIGEST-MD5", "", "", false, &no_tls, ""},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        unsigned security = 0;
        struct str bad;
        assert_true(sasl_security_parse(str_from(rows[i].security), &security, &bad));
        const struct sasl_mechanism *chosen = sasl_client_choose(str_from(rows[i].offered), str_from(rows[i].filter),
                                                                 security, rows[i].token, rows[i].binding);
        expect_str(str_from(chosen ? sasl_mechanism_name(chosen) : ""), rows[i].chosen, rows[i].offered);
    }
    unsigned security = 77;
    struct str bad;
    assert_false(sasl_security_parse(STR("noplaintext nonsense"), &security, &bad));
    expect_str(bad, "nonsense", "the word that is not known");
    expect_int(security, 77, "untouched");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dialogues),   cmocka_unit_test(test_plain),  cmocka_unit_test(test_binding),
        cmocka_unit_test(test_bad_servers), cmocka_unit_test(test_choice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
