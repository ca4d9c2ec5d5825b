/* Unit tests of what keys makes of the files: which certificates a name gets, what is wrong is told, and
 * files that are of no use leave what was there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "certificates.h"
#include "config_load.h"
#include "material.h"
#include "memory.h"
#include "key_store.h"

static const struct config_system machine = {.hostname = STR_INIT("mail.example.com"),
                                             .networks_host = STR_INIT("192.0.2.1/32")};
static char directory[64];

struct made {
    struct made_certificate certificate;
    struct buf key;
};

static struct made rsa, ecdsa, other, expired, soon;

static struct made make(const char *type, const char *name, long from, long to) {
    struct made made = {.certificate = make_certificate(type, name, NULL, from, to, NULL, 0)};
    BIO *memory = BIO_new(BIO_s_mem());
    char *bytes;
    assert_true(PEM_write_bio_PKCS8PrivateKey(memory, made.certificate.key, NULL, NULL, 0, NULL, NULL));
    long size = BIO_get_mem_data(memory, &bytes);
    buf_append_bytes(&made.key, bytes, (size_t)size);
    BIO_free(memory);
    return made;
}

static int make_all(void **state) {
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/test-store-XXXXXX");
    assert_non_null(mkdtemp(directory));
    rsa = make("RSA", "rsa.test", -60, 90 * 86400);
    ecdsa = make("EC", "ecdsa.test", -60, 90 * 86400);
    other = make("EC", "other.test", -60, 90 * 86400);
    expired = make("EC", "expired.test", -7200, -3600);
    soon = make("EC", "soon.test", -7200, 3 * 86400);
    return 0;
}

static int free_all(void **state) {
    struct made *all[] = {&rsa, &ecdsa, &other, &expired, &soon};
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(all); i++) {
        free_certificate(&all[i]->certificate);
        buf_free(&all[i]->key);
    }
    DIR *listing = opendir(directory);
    for (const struct dirent *entry; listing && (entry = readdir(listing));)
        unlinkat(dirfd(listing), entry->d_name, 0);
    if (listing) closedir(listing);
    rmdir(directory);
    return 0;
}

/* An OCSP response of two hours ago, good until so many seconds from now; 0: it does not say until when. */
static void make_response(const struct made *made, int status, long until, struct buf *der) {
    OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
    OCSP_CERTID *id = OCSP_cert_to_id(NULL, made->certificate.certificate, made->certificate.certificate);
    ASN1_TIME *from = X509_gmtime_adj(NULL, -7200), *to = X509_gmtime_adj(NULL, until);
    unsigned char *bytes = NULL;
    assert_non_null(OCSP_basic_add1_status(basic, id, status, 0, status ? from : NULL, from, until ? to : NULL));
    assert_true(OCSP_basic_sign(basic, made->certificate.certificate, made->certificate.key, EVP_sha256(), NULL, 0));
    OCSP_RESPONSE *response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    int length = i2d_OCSP_RESPONSE(response, &bytes);
    assert_true(length > 0 && buf_append_bytes(der, bytes, (size_t)length));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    ASN1_TIME_free(from);
    ASN1_TIME_free(to);
}

static const char *path_of(const char *name) {
    static char paths[8][200];
    static size_t next;
    char *path = paths[next++ % 8];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, struct str first, struct str second, mode_t mode) {
    int file = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0 && write(file, first.data, first.length) == (ssize_t)first.length &&
                write(file, second.data, second.length) == (ssize_t)second.length);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void write_made(const char *name, const struct made *made) {
    write_file(name, buf_str(&made->key), buf_str(&made->certificate.pem), 0600);
}

/* Configuration text, with DIR for the directory. */
static struct config *config_of(const char *text) {
    struct config *config = NULL;
    struct failure failure = {0};
    struct buf out = {0};
    struct str rest = str_from(text);
    for (size_t at; (at = str_find_str(rest, STR("DIR"))) != STR_NONE; rest = str_from_offset(rest, at + 3))
        buf_printf(&out, "%.*s%s", (int)at, rest.data, directory);
    buf_append(&out, rest);
    if (!config_evaluate(buf_str(&out), "main.cf", &machine, NULL, 0, SCOPE_KEYS, &config, NULL, &failure))
        fail_msg("%s", failure.text);
    buf_free(&out);
    return config;
}

static struct key_store *store_whole(const struct config *config, struct buf *material,
                                     const struct key_store *earlier) {
    int64_t now = (int64_t)time(NULL);
    struct key_store *store = key_store_create(config, material, earlier, now);
    while (key_store_work(store, 1))
        continue;
    key_store_check_dates(store, config->tls_certificate_warn_time, now, &store->warnings);
    return store;
}

static struct key_store *store_of(const struct config *config, const struct key_store *earlier) {
    struct material_gathering gathering;
    struct buf material = {0};
    material_gather(&gathering, config, &material);
    struct key_store *store = store_whole(config, &material, earlier);
    material_free(&gathering);
    return store;
}

/* The kinds of a set, and whose they are. */
static void expect_set(const struct key_set *set, const struct made *first, const struct made *second) {
    const struct made *all[] = {first, second};
    size_t count = first ? second ? 2 : 1 : 0;
    assert_int_equal(set ? set->identities.count : 0, count);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(X509_cmp(set->identities.items[i].certificate, all[i]->certificate.certificate), 0);
}

static void expect_line(const struct buf *lines, const char *words) {
    if (!words) {
        assert_string_equal(buf_string(lines), "");
        return;
    }
    if (!strstr(buf_string(lines), words)) print_error("wanted: %s\ngot: %s\n", words, buf_string(lines));
    assert_non_null(strstr(buf_string(lines), words));
}

/* ---- the sides */

static void test_sides(void **state) {
    (void)state;
    write_made("rsa.pem", &rsa);
    write_made("ecdsa.pem", &ecdsa);
    write_file("cert.pem", buf_str(&rsa.certificate.pem), STR_EMPTY, 0644);
    write_file("key.pem", buf_str(&rsa.key), STR_EMPTY, 0600);
    static const struct {
        const char *text;
        struct made *first, *second, *client, *lmtp;
    } table[] = {
        {"", NULL, NULL, NULL, NULL},
        {"smtpd_tls_chain_files = DIR/rsa.pem, DIR/ecdsa.pem\n", &rsa, &ecdsa, NULL, NULL},
        {"smtpd_tls_chain_files = DIR/ecdsa.pem DIR/rsa.pem\nsmtpd_tls_cert_file = DIR/missing\n", &ecdsa, &rsa, NULL,
         NULL},
        {"smtpd_tls_chain_files = DIR/key.pem, DIR/cert.pem\n", &rsa, NULL, NULL, NULL},
        {"smtpd_tls_cert_file = DIR/rsa.pem\n", &rsa, NULL, NULL, NULL},
        {"smtpd_tls_cert_file = DIR/cert.pem\nsmtpd_tls_key_file = DIR/key.pem\nsmtpd_tls_eccert_file = "
         "DIR/ecdsa.pem\n",
         &rsa, &ecdsa, NULL, NULL},
        {"smtpd_tls_cert_file = none\nsmtpd_tls_eccert_file = DIR/ecdsa.pem\n", &ecdsa, NULL, NULL, NULL},
        {"smtp_tls_cert_file = DIR/ecdsa.pem\nlmtp_tls_chain_files = DIR/rsa.pem\n", NULL, NULL, &ecdsa, &rsa},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct config *config = config_of(table[i].text);
        struct key_store *store = store_of(config, NULL);
        expect_line(&store->errors, NULL);
        expect_line(&store->warnings, NULL);
        expect_set(key_store_find(store, 0, STR_EMPTY), table[i].first, table[i].second);
        expect_set(key_store_find(store, 1, STR_EMPTY), table[i].client, NULL);
        expect_set(key_store_find(store, 2, STR_EMPTY), table[i].lmtp, NULL);
        assert_null(key_store_find(store, 3, STR_EMPTY));
        assert_null(key_store_find(store, 0, STR("a.test")));
        key_store_destroy(&store);
        config_free(&config);
    }
}

static void test_key_sides(void **state) {
    (void)state;
    struct config *config =
        config_of("smtpd_tls_chain_files = DIR/rsa.pem, DIR/ecdsa.pem\nsmtp_tls_chain_files = DIR/ecdsa.pem\n");
    struct key_store *store = store_of(config, NULL);
    uint8_t name[TLS_KEY_NAME_SIZE];
    assert_true(tls_key_name(rsa.certificate.key, name));
    const struct held_key *key = key_store_key(store, str_make((char *)name, sizeof name));
    assert_true(key && key->server && !key->client);
    assert_true(tls_key_name(ecdsa.certificate.key, name));
    key = key_store_key(store, str_make((char *)name, sizeof name));
    assert_true(key && key->server && key->client);
    assert_true(tls_key_name(other.certificate.key, name));
    assert_null(key_store_key(store, str_make((char *)name, sizeof name)));
    key_store_destroy(&store);
    config_free(&config);
}

/* ---- names */

static void test_names(void **state) {
    (void)state;
    static const struct {
        const char *name;
        struct made *first, *second;
    } table[] = {
        {"a.test", &rsa, NULL},
        {"b.test", &ecdsa, &rsa},
        {"x.wild.test", &other, NULL},
        {"y.x.wild.test", &other, NULL},
        {"wild.test", NULL, NULL},
        {"own.wild.test", &rsa, NULL},
        {"test", NULL, NULL},
        {"xa.test", NULL, NULL},
        {".", NULL, NULL},
        {"..", NULL, NULL},
        {".wild.test", &other, NULL},
        {"wild.test.", NULL, NULL},
        {"c.test", &other, NULL},
    };
    write_made("other.pem", &other);
    struct buf text = {0};
    buf_printf(&text, "B.test %s,%s\n.wild.test %s\nown.wild.test %s\n", path_of("ecdsa.pem"), path_of("rsa.pem"),
               path_of("other.pem"), path_of("rsa.pem"));
    write_file("names", buf_str(&text), STR_EMPTY, 0644);
    buf_free(&text);
    struct config *config = config_of("smtpd_tls_chain_files = DIR/ecdsa.pem\n"
                                      "tls_server_sni_maps = inline:{a.test=DIR/rsa.pem}, texthash:DIR/names, "
                                      "inline:{{a.test = DIR/missing}, {c.test = DIR/other.pem}}\n");
    struct key_store *store = store_of(config, NULL);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++)
        expect_set(key_store_find(store, 0, str_from(table[i].name)), table[i].first, table[i].second);
    expect_set(key_store_find(store, 1, STR("a.test")), NULL, NULL);
    key_store_destroy(&store);
    config_free(&config);
}

static void test_tables_in_trouble(void **state) {
    (void)state;
    struct config *config = config_of("tls_server_sni_maps = texthash:DIR/names\n");
    struct key_store *store = store_of(config, NULL);
    expect_set(key_store_find(store, 0, STR("x.wild.test")), &other, NULL);
    assert_int_equal(rename(path_of("names"), path_of("names.away")), 0);
    struct key_store *after = store_of(config, store);
    expect_line(&after->errors, "tls_server_sni_maps: texthash:");
    expect_set(key_store_find(after, 0, STR("x.wild.test")), &other, NULL);
    key_store_destroy(&store);
    key_store_destroy(&after);
    config_free(&config);
    config = config_of("tls_server_sni_maps = pcre:DIR/names.away\n");
    store = store_of(config, NULL);
    expect_line(&store->errors, "tls_server_sni_maps: pcre:");
    key_store_destroy(&store);
    config_free(&config);
}

/* ---- what is wrong */

static void test_findings(void **state) {
    (void)state;
    write_file("open.pem", buf_str(&ecdsa.key), buf_str(&ecdsa.certificate.pem), 0644);
    write_file("group.pem", buf_str(&ecdsa.key), buf_str(&ecdsa.certificate.pem), 0640);
    write_made("expired.pem", &expired);
    write_made("soon.pem", &soon);
    write_file("mismatch.pem", buf_str(&ecdsa.key), buf_str(&other.certificate.pem), 0600);
    write_file("words.pem", STR("hello\n"), STR_EMPTY, 0600);
    write_file("empty.pem", STR_EMPTY, STR_EMPTY, 0600);
    static const struct {
        const char *text, *error, *warning;
    } table[] = {
        {"smtpd_tls_chain_files = DIR/open.pem\n", NULL,
         "/open.pem holds a private key and has mode 0644: 0600 would be right"},
        {"smtpd_tls_chain_files = DIR/group.pem\n", NULL, NULL},
        {"smtpd_tls_chain_files = DIR/expired.pem\n", NULL,
         "smtpd_tls_chain_files: the ECDSA certificate expired on 20"},
        {"smtpd_tls_chain_files = DIR/soon.pem\n", NULL, "smtpd_tls_chain_files: the ECDSA certificate expires on 20"},
        {"smtpd_tls_chain_files = DIR/soon.pem\ntls_certificate_warn_time = 2d\n", NULL, NULL},
        {"smtpd_tls_chain_files = DIR/mismatch.pem\n", "/mismatch.pem: the private key does not fit the certificate",
         NULL},
        {"smtpd_tls_cert_file = DIR/cert.pem\nsmtpd_tls_key_file = DIR/ecdsa.pem\n", "/cert.pem with /", NULL},
        {"smtpd_tls_chain_files = DIR/missing.pem\n", "/missing.pem: it cannot be opened: No such file or directory",
         NULL},
        {"smtpd_tls_chain_files = DIR/words.pem\n", "/words.pem: there is neither a certificate nor", NULL},
        {"smtpd_tls_chain_files = DIR/empty.pem\n", "/empty.pem: there is neither a certificate nor", NULL},
        {"smtpd_tls_chain_files = DIR\n", ": it is no regular file", NULL},
        {"smtpd_tls_cert_file = DIR/cert.pem\n", "/cert.pem: a certificate without its private key", NULL},
        {"tls_server_sni_maps = inline:{n.test=DIR/words.pem}\n", "tls_server_sni_maps: n.test: /", NULL},
        {"tls_server_sni_maps = inline:{n.test=DIR/soon.pem}\n", NULL,
         "tls_server_sni_maps: n.test: the ECDSA certificate expires"},
        {"smtp_tls_chain_files = DIR/words.pem\n", "smtp_tls_chain_files: /", NULL},
    };
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct config *config = config_of(table[i].text);
        struct key_store *store = store_of(config, NULL);
        expect_line(&store->errors, table[i].error);
        expect_line(&store->warnings, table[i].warning);
        if (table[i].error && strstr(table[i].text, "smtpd_tls")) assert_true(store->sides[0]->broken);
        key_store_destroy(&store);
        config_free(&config);
    }
}

/* ---- piece by piece */

/* A name that is asked for is made before its turn, and only once. */
static void test_pieces(void **state) {
    (void)state;
    struct config *config = config_of("tls_server_sni_maps = inline:{{a.test=DIR/rsa.pem}, {b.test=DIR/ecdsa.pem}, "
                                      "{c.test=DIR/rsa.pem}, {d.test=DIR/missing.pem}}\n");
    struct material_gathering gathering;
    struct buf material = {0};
    material_gather(&gathering, config, &material);
    struct key_store *store = key_store_create(config, &material, NULL, (int64_t)time(NULL));
    assert_int_equal(map_count(store->keys), 0);
    expect_set(key_store_find(store, 0, STR("b.test")), &ecdsa, NULL);
    assert_int_equal(map_count(store->keys), 1);
    assert_true(key_store_find(store, 0, STR("d.test"))->broken);
    while (key_store_work(store, 1))
        continue;
    assert_int_equal(map_count(store->keys), 2);
    expect_set(key_store_find(store, 0, STR("b.test")), &ecdsa, NULL);
    /* The same files for two names are read once. */
    assert_ptr_equal(key_store_find(store, 0, STR("a.test"))->identities.items[0].certificate,
                     key_store_find(store, 0, STR("c.test"))->identities.items[0].certificate);
    assert_null(store->items);
    assert_false(key_store_work(store, 1));
    /* And those that have not changed are not read again. */
    struct key_store *after = store_of(config, store);
    assert_ptr_equal(key_store_find(store, 0, STR("b.test"))->identities.items[0].certificate,
                     key_store_find(after, 0, STR("b.test"))->identities.items[0].certificate);
    assert_true(key_store_find(after, 0, STR("d.test"))->broken);
    key_store_destroy(&store);
    expect_set(key_store_find(after, 0, STR("a.test")), &rsa, NULL);
    key_store_destroy(&after);
    material_free(&gathering);
    /* One that is never completed. */
    material_gather(&gathering, config, &material);
    store = key_store_create(config, &material, NULL, (int64_t)time(NULL));
    key_store_destroy(&store);
    material_free(&gathering);
    config_free(&config);
}

/* ---- renewal */

static void test_renewal(void **state) {
    (void)state;
    struct config *config =
        config_of("smtpd_tls_chain_files = DIR/live.pem\ntls_server_sni_maps = inline:{n.test=DIR/live.pem}\n");
    struct material_gathering gathering;
    struct buf material = {0};
    write_made("live.pem", &rsa);
    struct buf response = {0};
    make_response(&rsa, V_OCSP_CERTSTATUS_GOOD, 3600, &response);
    write_file("live.pem.ocsp", buf_str(&response), STR_EMPTY, 0644);
    material_gather(&gathering, config, &material);
    struct key_store *first = store_whole(config, &material, NULL);
    expect_set(key_store_find(first, 0, STR_EMPTY), &rsa, NULL);
    assert_true(str_equal(buf_str(&first->sides[0]->staples[0]), buf_str(&response)));
    assert_false(material_changed(&gathering));
    /* Half written: the old one stays, with its response, under both names. */
    write_file("live.pem", buf_str(&ecdsa.key), STR_EMPTY, 0600);
    assert_true(material_changed(&gathering));
    struct key_store *second = store_of(config, first);
    expect_line(&second->errors, "a private key without its certificate");
    expect_set(key_store_find(second, 0, STR_EMPTY), &rsa, NULL);
    expect_set(key_store_find(second, 0, STR("n.test")), &rsa, NULL);
    assert_true(str_equal(buf_str(&second->sides[0]->staples[0]), buf_str(&response)));
    /* The same key, not another copy of it. */
    assert_ptr_equal(second->sides[0]->identities.items[0].key, first->sides[0]->identities.items[0].key);
    key_store_destroy(&first); /* what it shared lives on */
    unlink(path_of("live.pem"));
    struct key_store *third = store_of(config, second);
    expect_set(key_store_find(third, 0, STR_EMPTY), &rsa, NULL);
    key_store_destroy(&second);
    write_made("live.pem", &ecdsa);
    unlink(path_of("live.pem.ocsp"));
    struct key_store *fourth = store_of(config, third);
    expect_line(&fourth->errors, NULL);
    expect_set(key_store_find(fourth, 0, STR_EMPTY), &ecdsa, NULL);
    assert_string_equal(buf_string(&fourth->sides[0]->staples[0]), "");
    key_store_destroy(&third);
    key_store_destroy(&fourth);
    material_free(&gathering);
    buf_free_secret(&material);
    buf_free(&response);
    config_free(&config);
}

/* Read again, an unchanged key is the same object; a renewed certificate does not change that. */
static void test_shared_keys(void **state) {
    (void)state;
    struct config *config = config_of("smtpd_tls_chain_files = DIR/live.pem\n");
    write_made("live.pem", &rsa);
    struct key_store *first = store_of(config, NULL), *second = store_of(config, first);
    assert_ptr_equal(second->sides[0]->identities.items[0].key, first->sides[0]->identities.items[0].key);
    key_store_destroy(&first);
    assert_int_equal(EVP_PKEY_get_bits(second->sides[0]->identities.items[0].key), 2048);
    key_store_destroy(&second);
    config_free(&config);
}

static void test_responses(void **state) {
    static const struct {
        int status;
        long until;
        const char *warning; /* NULL: used */
    } table[] = {
        {V_OCSP_CERTSTATUS_GOOD, 3600, NULL},
        {V_OCSP_CERTSTATUS_GOOD, -3600, "live.pem.ocsp is not used: it is not of now"},
        {V_OCSP_CERTSTATUS_REVOKED, 3600, "live.pem.ocsp is not used: it says that the certificate is revoked"},
        {V_OCSP_CERTSTATUS_UNKNOWN, 3600, "live.pem.ocsp is not used: it says that the certificate is unknown"},
    };
    (void)state;
    struct config *config = config_of("smtpd_tls_chain_files = DIR/live.pem\n");
    write_made("live.pem", &rsa);
    for (size_t i = 0; i < ARRAY_LENGTH(table); i++) {
        struct buf response = {0}, lines = {0};
        make_response(&rsa, table[i].status, table[i].until, &response);
        write_file("live.pem.ocsp", buf_str(&response), STR_EMPTY, 0644);
        struct key_store *store = store_of(config, NULL);
        expect_line(&store->warnings, table[i].warning);
        assert_int_equal(store->sides[0]->staples[0].length, table[i].warning ? 0 : response.length);
        assert_int_equal(key_store_drop_staples(store, (int64_t)time(NULL) + 60, &lines), 0);
        assert_int_equal(key_store_drop_staples(store, (int64_t)time(NULL) + 3700, &lines), table[i].warning ? 0 : 1);
        expect_line(&lines, table[i].warning ? NULL : "the OCSP response of the RSA certificate is no longer good");
        key_store_destroy(&store);
        buf_free(&response);
        buf_free(&lines);
    }
    write_file("live.pem.ocsp", STR("<html>not found</html>"), STR_EMPTY, 0644);
    struct key_store *store = store_of(config, NULL);
    expect_line(&store->warnings, "live.pem.ocsp is not used: it is no OCSP response with an answer");
    key_store_destroy(&store);
    /* Without an end it is no good after a day. */
    struct buf endless = {0}, lines = {0};
    make_response(&rsa, V_OCSP_CERTSTATUS_GOOD, 0, &endless);
    write_file("live.pem.ocsp", buf_str(&endless), STR_EMPTY, 0644);
    store = store_of(config, NULL);
    expect_line(&store->warnings, NULL);
    assert_int_equal(key_store_drop_staples(store, (int64_t)time(NULL) + 21 * 3600, &lines), 0);
    assert_int_equal(key_store_drop_staples(store, (int64_t)time(NULL) + 23 * 3600, &lines), 1);
    key_store_destroy(&store);
    buf_free(&endless);
    buf_free(&lines);
    /* Of the certificate that was there before: clients would drop the connection. */
    struct buf before = {0};
    make_response(&ecdsa, V_OCSP_CERTSTATUS_GOOD, 3600, &before);
    write_file("live.pem.ocsp", buf_str(&before), STR_EMPTY, 0644);
    store = store_of(config, NULL);
    expect_line(&store->warnings, "live.pem.ocsp is not used: it is about another certificate");
    assert_int_equal(store->sides[0]->staples[0].length, 0);
    key_store_destroy(&store);
    buf_free(&before);
    unlink(path_of("live.pem.ocsp"));
    config_free(&config);
}

/* A file that comes, one that goes, a link that points elsewhere. */
static void test_changes(void **state) {
    (void)state;
    struct config *config = config_of("smtpd_tls_chain_files = DIR/link.pem\n");
    struct material_gathering gathering;
    struct buf material = {0};
    write_made("one.pem", &rsa);
    write_made("two.pem", &ecdsa);
    for (int step = 0; step < 4; step++) {
        material_gather(&gathering, config, &material);
        assert_false(material_changed(&gathering));
        if (step == 0) assert_int_equal(symlink("one.pem", path_of("link.pem")), 0);
        if (step == 1) write_file("link.pem.ocsp", STR("x"), STR_EMPTY, 0644);
        if (step == 2) {
            assert_int_equal(symlink("two.pem", path_of("new")), 0);
            assert_int_equal(rename(path_of("new"), path_of("link.pem")), 0);
        }
        if (step == 3) unlink(path_of("two.pem"));
        assert_true(material_changed(&gathering));
        material_free(&gathering);
        buf_clear(&material);
    }
    buf_free(&material);
    config_free(&config);
}

/* ---- bytes that are no material */

static void test_malformed(void **state) {
    (void)state;
    struct config *config = config_of("smtpd_tls_chain_files = DIR/rsa.pem\n");
    struct material_gathering gathering;
    struct buf material = {0};
    material_gather(&gathering, config, &material);
    for (size_t length = 0; length < material.length; length++) {
        struct str rest = str_make(material.data, length);
        struct material_item item;
        while (material_next(&rest, &item))
            assert_true(item.value.data + item.value.length <= material.data + length);
    }
    buf_truncate(&material, material.length - 1);
    struct key_store *store = store_whole(config, &material, NULL);
    expect_line(&store->errors, "it was not read");
    key_store_destroy(&store);
    material_free(&gathering);
    buf_free_secret(&material);
    config_free(&config);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sides),     cmocka_unit_test(test_key_sides),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_tables_in_trouble),
        cmocka_unit_test(test_findings),  cmocka_unit_test(test_renewal),
        cmocka_unit_test(test_changes),   cmocka_unit_test(test_shared_keys),
        cmocka_unit_test(test_responses), cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_pieces),
    };
    return cmocka_run_group_tests(tests, make_all, free_all);
}
