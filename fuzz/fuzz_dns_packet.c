/* Fuzz target: a DNS answer from anybody. The first byte chooses the type that
 * was asked for, the rest is the message; its own ID and question are taken as
 * ours, so that the reader gets beyond the header. */
#include "dns_packet.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds) {
    if (!holds) abort();
}

/* The question's name if it stands there uncompressed, else example.org. */
static void take_question(struct str message, struct dns_question *question) {
    char text[DNS_NAME_LIMIT + 2];
    size_t at = 12, length = 0;
    check(dns_name_set(&question->name, STR("example.org")));
    while (at < message.length && message.data[at] != 0) {
        size_t label = (uint8_t)message.data[at++];
        if (label > 63 || label > message.length - at || length + label + 1 > sizeof text) return;
        memcpy(text + length, message.data + at, label);
        length += label;
        text[length++] = '.';
        at += label;
    }
    if (!dns_name_set(&question->name, str_make(text, length))) check(question->name.length == 11);
}

static void check_name(struct str name, bool host) {
    struct dns_name checked;
    if (name.length == 0) return;
    check(host ? dns_name_is_host(name) : dns_name_set(&checked, name));
}

static void check_record(const struct dns_record *record, enum dns_type type) {
    check(record->type == type && record->ttl <= INT32_MAX);
    check_name(record->name, type != DNS_CNAME);
    switch (type) {
    case DNS_A: check(record->address.address.any.sa_family == AF_INET); break;
    case DNS_AAAA: check(record->address.address.any.sa_family == AF_INET6); break;
    case DNS_TLSA: check(record->data.length > 3); break;
    case DNS_CNAME:
    case DNS_PTR: check(record->name.length > 0); break;
    case DNS_MX:
    case DNS_TXT:
    case DNS_SRV: break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum dns_type types[] = {DNS_A, DNS_CNAME, DNS_PTR, DNS_MX, DNS_TXT, DNS_AAAA, DNS_SRV, DNS_TLSA};
    if (size < 3) return 0;
    struct dns_question question = {.type = types[data[0] % ARRAY_LENGTH(types)]};
    struct str message = str_make((const char *)data + 1, size - 1);
    struct arena *arena = arena_create((size_t)4 << 20);
    struct dns_response response = {.name = STR_EMPTY};
    take_question(message, &question);
    enum dns_packet_result result =
        dns_packet_parse(message, &question, (uint16_t)(data[1] << 8 | data[2]), arena, &response);
    if (result == DNS_PACKET_ANSWER && response.aliases <= DNS_ALIAS_LIMIT) {
        check(response.count <= DNS_RECORD_LIMIT && (response.outcome == DNS_OUTCOME_FOUND) == (response.count > 0));
        check_name(response.name, false);
        for (size_t i = 0; i < response.count; i++) check_record(&response.records[i], question.type);
    }
    arena_destroy(&arena);
    return 0;
}
