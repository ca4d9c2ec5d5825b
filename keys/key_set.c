/* Making a set: reading its files, judging what is in them. */
#include "key_set.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <sys/stat.h>
#include <time.h>

#include "memory.h"

#define STAPLE_LIMIT ((size_t)7000) /* certificate_chain's bound */
#define SOURCE_LIMIT 64
#define CLOCK_LEAVE  300   /* seconds that clocks may differ */
#define STAPLE_LIFE  86400 /* seconds for which a response that gives no end is taken for fresh, as clients do */

void key_line(struct buf *lines, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    buf_vprintf(lines, format, arguments);
    va_end(arguments);
    buf_append_char(lines, '\n');
}

struct key_set *key_set_create(struct str title) {
    struct key_set *set = MEMORY_NEW(struct key_set);
    set->title = memory_copy_string(title);
    return set;
}

void key_set_clear(struct key_set *set) {
    tls_identities_free(&set->identities);
    for (size_t i = 0; i < TLS_IDENTITY_LIMIT; i++)
        buf_free(&set->staples[i]);
    MEMORY_FREE(set->title);
}

void key_set_free(struct key_set *set) {
    key_set_clear(set);
    MEMORY_FREE(set);
}

/* ---- files */

/* The texts that a set is read from, by number (tls_identity's sources). */
struct sources {
    struct str paths[SOURCE_LIMIT];
    size_t count;
};

static bool read_file(const struct key_files *files, struct key_set *set, struct sources *sources, struct str path,
                      struct failure *failure) {
    const struct material_item *item = map_get(files->items, path);
    if (sources->count == SOURCE_LIMIT) return failure_set(failure, "more than %d files", SOURCE_LIMIT);
    if (!item || item->kind == MATERIAL_MISSING) {
        failure_set(failure, "%.*s", STR_ARGS(item ? item->value : STR("it was not read")));
        return failure_prefix(failure, "%.*s", STR_ARGS(path));
    }
    set->identities.source = sources->count;
    sources->paths[sources->count++] = path;
    return tls_identities_read(&set->identities, item->value, failure) ||
           failure_prefix(failure, "%.*s", STR_ARGS(path));
}

/* A chain file that names nobody's key, or the wrong one, is told by its name. */
static bool finish(struct key_set *set, const struct sources *sources, struct failure *failure) {
    size_t bad = 0;
    if (tls_identities_finish(&set->identities, &bad, failure)) return true;
    const struct tls_identity *identity = &set->identities.items[bad];
    if (set->identities.count == 0) return false;
    if (identity->certificate && identity->key && identity->certificate_source != identity->key_source)
        return failure_prefix(failure, "%.*s with %.*s", STR_ARGS(sources->paths[identity->certificate_source]),
                              STR_ARGS(sources->paths[identity->key_source]));
    size_t source = identity->certificate ? identity->certificate_source : identity->key_source;
    return failure_prefix(failure, "%.*s", STR_ARGS(sources->paths[source]));
}

/* ---- OCSP responses: what a client could not use is not given to it */

static int64_t seconds_of(const ASN1_GENERALIZEDTIME *time) {
    struct tm parts;
    return time && ASN1_TIME_to_tm(time, &parts) ? (int64_t)timegm(&parts) : INT64_MAX;
}

/* RFC 6960 section 4.1.1: the serial number, and the issuer's name by a digest. The issuer's key is not at hand. */
static bool is_about(const OCSP_SINGLERESP *single, const X509 *certificate) {
    ASN1_OCTET_STRING *issuer = NULL;
    ASN1_OBJECT *algorithm = NULL;
    ASN1_INTEGER *serial = NULL;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    /* OpenSSL takes what it only reads without const. */
    OCSP_CERTID *id = (OCSP_CERTID *)(uintptr_t)OCSP_SINGLERESP_get0_id(single);
    if (!id || !OCSP_id_get0_info(&issuer, &algorithm, NULL, &serial, id)) return false;
    const EVP_MD *method = EVP_get_digestbyobj(algorithm);
    return method && ASN1_INTEGER_cmp(serial, X509_get0_serialNumber(certificate)) == 0 &&
           X509_NAME_digest(X509_get_issuer_name(certificate), method, digest, &length) == 1 &&
           (size_t)ASN1_STRING_length(issuer) == length && memcmp(ASN1_STRING_get0_data(issuer), digest, length) == 0;
}

/* The answer about the certificate, among what may be several; NULL: none. */
static OCSP_SINGLERESP *find_single(OCSP_BASICRESP *basic, const X509 *certificate) {
    int count = basic ? OCSP_resp_count(basic) : 0;
    for (int i = 0; i < count; i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        if (single && is_about(single, certificate)) return single;
    }
    return NULL;
}

/* *until: the date that the response gives for its end. The signature is for clients to judge. What a certificate had
 * before it was renewed would make clients drop the connection. */
static bool judge_response(struct str der, const X509 *certificate, int64_t now, int64_t *until,
                           struct failure *failure) {
    const unsigned char *next = (const unsigned char *)der.data;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &next, (long)der.length);
    OCSP_BASICRESP *basic = response && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
                                ? OCSP_response_get1_basic(response)
                                : NULL;
    OCSP_SINGLERESP *single = find_single(basic, certificate);
    ASN1_GENERALIZEDTIME *begin = NULL, *end = NULL;
    int status = single ? OCSP_single_get0_status(single, NULL, NULL, &begin, &end) : -1;
    int64_t from = seconds_of(begin);
    *until = end || from == INT64_MAX ? seconds_of(end) : from + STAPLE_LIFE;
    bool good = (basic && OCSP_resp_count(basic) > 0) || failure_set(failure, "it is no OCSP response with an answer");
    if (good && !single) good = failure_set(failure, "it is about another certificate");
    if (good && status != V_OCSP_CERTSTATUS_GOOD)
        good = failure_set(failure, "it says that the certificate is %s", OCSP_cert_status_str(status));
    if (good && (from > now + CLOCK_LEAVE || *until <= now))
        good = failure_set(failure, "it is not of now: a fresh one would be right");
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return good;
}

static void take_staple(const struct key_files *files, struct key_set *set, size_t index, const char *path,
                        struct str der) {
    struct failure failure = {0};
    if (der.length > STAPLE_LIMIT)
        failure_set(&failure, "it has more than %zu bytes", STAPLE_LIMIT);
    else if (judge_response(der, set->identities.items[index].certificate, files->now, &set->staples_until[index],
                            &failure))
        buf_append(&set->staples[index], der);
    if (failure.text[0]) key_line(files->warnings, "%s is not used: %s", path, failure.text);
}

static void read_staples(const struct key_files *files, struct key_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        struct buf path = buf_make(4096);
        buf_printf(&path, "%.*s.ocsp", STR_ARGS(sources->paths[set->identities.items[i].certificate_source]));
        const struct material_item *item = map_get(files->items, buf_str(&path));
        set->staples[i] = buf_make(STAPLE_LIMIT);
        if (item && item->kind == MATERIAL_FILE) take_staple(files, set, i, buf_string(&path), item->value);
        buf_free(&path);
    }
}

/* A private key that everybody can read is no secret any more, but still better than no TLS. */
static void check_modes(const struct key_files *files, const struct key_set *set, const struct sources *sources) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        const struct material_item *item = map_get(files->items, sources->paths[identity->key_source]);
        if (item && (item->mode & (S_IROTH | S_IWOTH | S_IWGRP)))
            key_line(files->warnings, "%.*s holds a private key and has mode %04o: 0600 would be right",
                     STR_ARGS(item->name), item->mode);
    }
}

/* ---- sets */

static bool read_list(const struct key_files *files, struct key_set *set, struct sources *sources, struct str list,
                      struct failure *failure) {
    struct str path;
    bool good = true;
    while (good && material_next_file(&list, &path))
        good = read_file(files, set, sources, path, failure);
    return good;
}

static bool read_pairs(const struct key_files *files, struct key_set *set, struct sources *sources,
                       const struct material_parameters *parameters, struct failure *failure) {
    bool good = true;
    for (size_t i = 0; good && i < ARRAY_LENGTH(parameters->pairs); i++) {
        struct str certificate = parameters->pairs[i].certificate, key = parameters->pairs[i].key;
        if (certificate.length == 0) continue;
        good = read_file(files, set, sources, certificate, failure);
        if (good && key.length > 0 && !str_equal(key, certificate)) good = read_file(files, set, sources, key, failure);
    }
    return good;
}

static bool settle(struct key_set *set, const struct key_files *files, const struct sources *sources, bool good,
                   struct failure *failure) {
    good = good && finish(set, sources, failure);
    if (good) {
        read_staples(files, set, sources);
        check_modes(files, set, sources);
    } else {
        tls_identities_free(&set->identities);
        key_line(files->errors, "%s: %s", set->title, failure->text);
    }
    return good;
}

bool key_set_read(struct key_set *set, const struct key_files *files, struct str list) {
    struct sources sources = {.count = 0};
    struct failure failure = {0};
    bool good = read_list(files, set, &sources, list, &failure);
    return settle(set, files, &sources, good, &failure);
}

bool key_set_read_pairs(struct key_set *set, const struct key_files *files,
                        const struct material_parameters *parameters) {
    struct sources sources = {.count = 0};
    struct failure failure = {0};
    bool good = read_pairs(files, set, &sources, parameters, &failure);
    return settle(set, files, &sources, good, &failure);
}

void key_set_copy(struct key_set *set, const struct key_set *from) {
    if (!tls_identities_add(&set->identities, &from->identities)) return;
    for (size_t i = 0; i < set->identities.count; i++) {
        set->staples[i] = buf_make(STAPLE_LIMIT);
        buf_append(&set->staples[i], buf_str(&from->staples[i]));
        set->staples_until[i] = from->staples_until[i];
    }
}

/* ---- sums */

static void add_to_digest(EVP_MD_CTX *context, const struct key_files *files, struct str path) {
    const struct material_item *item = map_get(files->items, path);
    const size_t head[] = {path.length, item ? item->kind : 0, item ? item->mode : 0, item ? item->value.length : 0};
    EVP_DigestUpdate(context, head, sizeof head);
    EVP_DigestUpdate(context, path.data, path.length);
    if (item) EVP_DigestUpdate(context, item->value.data, item->value.length);
}

void key_set_digest(const struct key_files *files, struct str list, uint8_t digest[KEY_SET_DIGEST]) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    struct str path;
    EVP_DigestInit_ex(context, EVP_sha256(), NULL);
    while (material_next_file(&list, &path)) {
        struct buf staple = buf_make(0);
        buf_printf(&staple, "%.*s.ocsp", STR_ARGS(path));
        add_to_digest(context, files, path);
        add_to_digest(context, files, buf_str(&staple));
        buf_free(&staple);
    }
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
}

/* ---- dates */

size_t key_set_drop_staples(struct key_set *set, int64_t now, struct buf *lines) {
    size_t dropped = 0;
    for (size_t i = 0; i < set->identities.count; i++) {
        if (set->staples[i].length == 0 || set->staples_until[i] > now) continue;
        buf_clear(&set->staples[i]);
        key_line(lines, "%s: the OCSP response of the %s certificate is no longer good: a fresh one would be right",
                 set->title, tls_identity_kind(&set->identities.items[i]));
        dropped++;
    }
    return dropped;
}

static void add_date_line(struct buf *lines, const char *title, const struct tls_identity *identity, const char *words,
                          int64_t date) {
    char text[40];
    struct tm parts;
    time_t seconds = (time_t)date;
    if (!gmtime_r(&seconds, &parts) || strftime(text, sizeof text, "%Y-%m-%d %H:%M UTC", &parts) == 0) text[0] = '\0';
    key_line(lines, "%s: the %s certificate %s on %s: a renewed one would be right", title, tls_identity_kind(identity),
             words, text);
}

void key_set_check_dates(const struct key_set *set, int64_t warn_time, int64_t now, struct buf *lines) {
    for (size_t i = 0; i < set->identities.count; i++) {
        const struct tls_identity *identity = &set->identities.items[i];
        int64_t from, until;
        if (!tls_identity_dates(identity, &from, &until)) continue;
        if (until <= now)
            add_date_line(lines, set->title, identity, "expired", until);
        else if (until - warn_time <= now)
            add_date_line(lines, set->title, identity, "expires", until);
        if (from > now + 60) add_date_line(lines, set->title, identity, "becomes valid only", from);
    }
}
