/* One HTTPS request by libcurl, on a helper thread.
 *
 * The host's addresses come from tern's own resolver and are given to libcurl,
 * which looks up nothing, follows no redirect, knows no proxy and reads neither
 * files nor environment. What a server sends is bounded in size and time. */
#include "fetch.h"

#include "config_load.h"
#include "dns_packet.h"
#include "url.h"

#include <curl/curl.h>
#include <errno.h>
#include <openssl/crypto.h>
#include <unistd.h>

enum {
    ADDRESS_LIMIT = 8,        /* of one host that are tried */
    HEADER_LIMIT = 32 * 1024, /* octets of an answer's header */
    CONNECT_MS = 10000,
    ROOTS_LIMIT = 8 << 20,
};

/* Where systems keep the authorities that they trust. */
static const char *const root_files[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                         "/etc/ssl/cert.pem"};

/* ---- before the sandbox */

static bool read_roots(struct fetch *fetch, struct failure *failure) {
    const char *path = fetch->config->fetch_ca_file.data;
    for (size_t i = 0; fetch->config->fetch_ca_file.length == 0 && i < ARRAY_LENGTH(root_files); i++) {
        path = root_files[i];
        if (access(path, R_OK) == 0) break;
    }
    return config_read_file(path, ROOTS_LIMIT, &fetch->roots, failure) || failure_prefix(failure, "fetch_ca_file");
}

bool http_prepare(struct fetch *fetch, struct failure *failure) {
    struct failure why = {0};
    OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return failure_set(failure, "libcurl cannot be set up");
    if (read_roots(fetch, &why)) return true;
    /* A system without any authorities: nothing verifies, and everybody is told so. */
    if (fetch->config->fetch_ca_file.length == 0 && why.error_number == ENOENT) return true;
    *failure = why;
    return false;
}

/* ---- addresses */

struct addresses {
    struct endpoint list[ADDRESS_LIMIT];
    size_t count;
    size_t private_count; /* left out */
    bool retry;           /* DNS did not answer for one of the types */
};

static void add_address(struct addresses *addresses, const struct endpoint *address, bool may_private) {
    if (!may_private && !address_is_public(address))
        addresses->private_count++;
    else if (addresses->count < ADDRESS_LIMIT)
        addresses->list[addresses->count++] = *address;
}

static void look_up(struct fetch *fetch, struct str host, enum dns_type type, bool may_private, deadline until,
                    struct arena *arena, struct addresses *addresses) {
    struct dns_answer answer;
    enum dns_result result = dns_lookup(fetch->resolver, host, type, until, arena, &answer, NULL);
    if (result == DNS_RETRY) addresses->retry = true;
    for (size_t i = 0; result == DNS_FOUND && i < answer.count; i++)
        if (answer.records[i].type == type) add_address(addresses, &answer.records[i].address, may_private);
}

static bool find_addresses(struct fetch *fetch, const struct url *url, bool may_private, deadline until,
                           struct arena *arena, struct addresses *addresses, struct failure *failure) {
    struct endpoint literal;
    if (url->is_address) {
        if (endpoint_from_ip(url->host, 0, &literal)) add_address(addresses, &literal, may_private);
    } else {
        look_up(fetch, url->host, DNS_A, may_private, until, arena, addresses);
        look_up(fetch, url->host, DNS_AAAA, may_private, until, arena, addresses);
    }
    if (addresses->count > 0) return true;
    if (addresses->private_count > 0) return failure_set(failure, "%.*s has no public address", STR_ARGS(url->host));
    return failure_set(failure, "%.*s %s", STR_ARGS(url->host),
                       addresses->retry ? "cannot be looked up now" : "has no address");
}

/* http: is for a server on this machine alone. */
static bool are_loopback(const struct addresses *addresses) {
    for (size_t i = 0; i < addresses->count; i++)
        if (!endpoint_is_loopback(&addresses->list[i])) return false;
    return true;
}

/* ---- the transfer, on the helper thread */

struct transfer {
    CURL *handle;
    struct curl_slist *headers, *resolve;
    struct buf body;
    size_t limit, header_bytes;
    bool too_large;
    CURLcode code;
    char error[CURL_ERROR_SIZE];
};

static size_t take_body(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    size_t bytes = size * count;
    if (transfer->body.length + bytes > transfer->limit) {
        transfer->too_large = true;
        return 0;
    }
    buf_append_bytes(&transfer->body, data, bytes);
    return bytes;
}

static size_t take_header(char *data, size_t size, size_t count, void *context) {
    struct transfer *transfer = context;
    (void)data;
    transfer->header_bytes += size * count;
    if (transfer->header_bytes > HEADER_LIMIT) {
        transfer->too_large = true;
        return 0;
    }
    return size * count;
}

static void perform(void *argument) {
    struct transfer *transfer = argument;
    transfer->code = curl_easy_perform(transfer->handle);
}

/* ---- setting it up */

static void add_line(struct curl_slist **list, const char *line) {
    struct curl_slist *longer = curl_slist_append(*list, line);
    if (!longer) memory_exhausted(strlen(line));
    *list = longer;
}

static bool add_headers(struct transfer *transfer, const struct http_request *request, struct failure *failure) {
    struct str rest = request->headers, line;
    add_line(&transfer->headers, "Expect:"); /* none of libcurl's own */
    while (str_next_word(&rest, "\n", &line)) {
        if (!str_is_printable(line) || str_find(line, ':') == STR_NONE)
            return failure_set(failure, "a header line is none");
        char *text = memory_copy_string(line);
        add_line(&transfer->headers, text);
        MEMORY_FREE(text);
    }
    return true;
}

static void add_addresses(struct transfer *transfer, const struct url *url, const struct addresses *addresses,
                          uint16_t port) {
    struct buf line = buf_make(0);
    if (url->is_address) return;
    buf_printf(&line, "%.*s:%u:", STR_ARGS(url->host), (unsigned)port);
    for (size_t i = 0; i < addresses->count; i++) {
        bool ipv6 = endpoint_is_ipv6(&addresses->list[i]);
        buf_append(&line, i == 0 ? STR_EMPTY : STR(","));
        if (ipv6) buf_append_char(&line, '[');
        endpoint_format_ip(&addresses->list[i], &line);
        if (ipv6) buf_append_char(&line, ']');
    }
    add_line(&transfer->resolve, buf_string(&line));
    buf_free(&line);
}

#define SET(option, value) (good = good && curl_easy_setopt(handle, option, value) == CURLE_OK)

static bool set_limits(CURL *handle, int64_t patience) {
    bool good = true;
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TIMEOUT_MS, (long)(patience > 0 ? patience : 1));
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(patience < CONNECT_MS ? (patience > 0 ? patience : 1) : CONNECT_MS));
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FOLLOWLOCATION, 0L); /* RFC 8461 section 3.3 forbids it */
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_USERAGENT, "tern/" PACKAGE_VERSION);
    return good;
}

static bool set_tls(CURL *handle, const struct fetch *fetch) {
    struct curl_blob roots = {.data = fetch->roots.data, .len = fetch->roots.length, .flags = CURL_BLOB_NOCOPY};
    bool good = true;
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    SET(CURLOPT_SSL_VERIFYPEER, 1L);
    SET(CURLOPT_SSL_VERIFYHOST, 2L);
    SET(CURLOPT_CAPATH, NULL);
    SET(CURLOPT_CAINFO, NULL);
    if (roots.len > 0) SET(CURLOPT_CAINFO_BLOB, &roots);
    return good;
}

static bool set_request(struct transfer *transfer, const struct http_request *request, const struct url *url,
                        uint16_t port) {
    CURL *handle = transfer->handle;
    struct buf target = buf_make(0);
    bool ipv6 = url->is_address && str_find(url->host, ':') != STR_NONE;
    bool good = true;
    buf_printf(&target, "%s://%s%.*s%s:%u%s%.*s", url->secure ? "https" : "http", ipv6 ? "[" : "", STR_ARGS(url->host),
               ipv6 ? "]" : "", (unsigned)port, str_starts(url->target, STR("/")) ? "" : "/", STR_ARGS(url->target));
    SET(CURLOPT_PROTOCOLS_STR, url->secure ? "https" : "http");
    SET(CURLOPT_URL, buf_string(&target));
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    SET(CURLOPT_RESOLVE, transfer->resolve);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->error);
    if (request->post) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE, (long)request->body.length);
        SET(CURLOPT_POSTFIELDS, request->body.data);
    }
    buf_free(&target);
    return good;
}
#undef SET

/* ---- what came of it */

static enum http_result result_of(const struct transfer *transfer) {
    if (transfer->code == CURLE_OK) return HTTP_ANSWERED;
    if (transfer->too_large) return HTTP_TOO_LARGE;
    if (transfer->code == CURLE_PEER_FAILED_VERIFICATION) return HTTP_CERTIFICATE;
    if (transfer->code == CURLE_OPERATION_TIMEDOUT) return HTTP_TOO_SLOW;
    return HTTP_UNREACHABLE;
}

static bool read_answer(struct transfer *transfer, struct arena *arena, struct http_answer *answer) {
    struct http_answer read = {.content_type = STR_EMPTY};
    long status = 0;
    const char *type = NULL;
    curl_easy_getinfo(transfer->handle, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(transfer->handle, CURLINFO_CONTENT_TYPE, &type);
    read.status = status > 0 && status <= 999 ? (unsigned)status : 0;
    if (!arena_copy(arena, str_slice(str_from(type), 0, 200), &read.content_type) ||
        !arena_copy(arena, buf_str(&transfer->body), &read.body))
        return false;
    *answer = read;
    return true;
}

static void transfer_free(struct transfer *transfer) {
    curl_slist_free_all(transfer->headers);
    curl_slist_free_all(transfer->resolve);
    if (transfer->handle) curl_easy_cleanup(transfer->handle);
    buf_free_secret(&transfer->body);
    MEMORY_FREE(transfer);
}

static enum http_result transfer_run(struct fetch *fetch, struct transfer *transfer, const struct http_request *request,
                                     const struct url *url, uint16_t port, deadline until, struct arena *arena,
                                     struct http_answer *answer, struct failure *failure) {
    if (!transfer->handle || !set_limits(transfer->handle, deadline_left(until)) || !set_tls(transfer->handle, fetch) ||
        !set_request(transfer, request, url, port)) {
        failure_set(failure, "libcurl does not take the request");
        return HTTP_UNREACHABLE;
    }
    task_run_blocking(perform, transfer);
    enum http_result result = result_of(transfer);
    if (result == HTTP_TOO_LARGE)
        failure_set(failure, "%.*s: the answer is larger than %zu octets", STR_ARGS(url->host), request->limit);
    else if (result != HTTP_ANSWERED)
        failure_set(failure, "%.*s: %s", STR_ARGS(url->host),
                    transfer->error[0] ? transfer->error : curl_easy_strerror(transfer->code));
    else if (!read_answer(transfer, arena, answer))
        result = HTTP_TOO_LARGE;
    return result;
}

enum http_result http_exchange(struct fetch *fetch, const struct http_request *request, struct arena *arena,
                               struct http_answer *answer, struct failure *failure) {
    struct url url;
    struct addresses addresses = {.count = 0};
    deadline until = deadline_in(request->patience);
    if (!url_parse(request->url, &url)) {
        failure_set(failure, "no URL that can be asked");
        return HTTP_REFUSED;
    }
    if (!find_addresses(fetch, &url, request->may_private, until, arena, &addresses, failure)) return HTTP_NO_ADDRESS;
    if (!url.secure && (!request->may_plain || !are_loopback(&addresses))) {
        failure_set(failure, "%.*s: only https: is asked", STR_ARGS(url.host));
        return HTTP_REFUSED;
    }
    uint16_t port = request->port ? request->port : url.port;
    struct transfer *transfer = MEMORY_NEW(struct transfer);
    enum http_result result = HTTP_REFUSED;
    transfer->limit = request->limit;
    transfer->handle = curl_easy_init();
    if (add_headers(transfer, request, failure)) {
        add_addresses(transfer, &url, &addresses, port);
        result = transfer_run(fetch, transfer, request, &url, port, until, arena, answer, failure);
    }
    transfer_free(transfer);
    return result;
}
