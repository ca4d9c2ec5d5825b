/* dns_probe: asks one name server and prints what dns_lookup made of it, for
 * the end-to-end test. Usage: dns_probe ADDRESS PORT NAME TYPE [NAME TYPE]... */
#include "dns.h"
#include "task.h"

struct probe {
    struct endpoint server;
    int count;
    char **arguments;
    bool done;
};

static bool type_from(const char *text, enum dns_type *type) {
    static const struct {
        const char *text;
        enum dns_type type;
    } types[] = {{"A", DNS_A},     {"AAAA", DNS_AAAA}, {"CNAME", DNS_CNAME}, {"MX", DNS_MX},
                 {"PTR", DNS_PTR}, {"SRV", DNS_SRV},   {"TLSA", DNS_TLSA},   {"TXT", DNS_TXT}};
    for (size_t i = 0; i < ARRAY_LENGTH(types); i++) {
        if (strcmp(text, types[i].text) == 0) {
            *type = types[i].type;
            return true;
        }
    }
    return false;
}

static const char *result_text(enum dns_result result) {
    switch (result) {
    case DNS_FOUND: return "found";
    case DNS_NO_NAME: return "no-name";
    case DNS_NO_DATA: return "no-data";
    case DNS_RETRY: return "retry";
    case DNS_INVALID: return "invalid";
    }
    return "?";
}

static void print_record(const struct dns_record *record) {
    struct buf address = {0};
    switch (record->type) {
    case DNS_A:
    case DNS_AAAA:
        endpoint_format_ip(&record->address, &address);
        printf("record %s\n", buf_string(&address));
        break;
    case DNS_CNAME:
    case DNS_PTR: printf("record %.*s\n", STR_ARGS(record->name)); break;
    case DNS_MX: printf("record %u %.*s\n", record->preference, STR_ARGS(record->name)); break;
    case DNS_SRV:
        printf("record %u %u %u %.*s\n", record->preference, record->weight, record->port, STR_ARGS(record->name));
        break;
    case DNS_TXT: printf("record %.*s\n", STR_ARGS(record->data)); break;
    case DNS_TLSA:
        printf("record ");
        for (size_t i = 0; i < record->data.length; i++) printf("%02x", (uint8_t)record->data.data[i]);
        printf("\n");
        break;
    }
    buf_free(&address);
}

static void print_lookup(struct resolver *resolver, const char *name, enum dns_type type) {
    struct arena *arena = arena_create(0);
    struct dns_answer answer = {.name = STR_EMPTY};
    struct failure failure = {.error_number = 0};
    enum dns_result result =
        dns_lookup(resolver, str_from(name), type, deadline_in(10000), arena, &answer, &failure);
    printf("result %s\n", result_text(result));
    if (result == DNS_RETRY || result == DNS_INVALID) {
        printf("failure %s\n", failure.text);
    } else {
        printf("name %.*s\nttl %u\nauthentic %d\n", STR_ARGS(answer.name), answer.ttl, answer.authentic);
    }
    for (size_t i = 0; i < answer.count; i++) print_record(&answer.records[i]);
    arena_destroy(&arena);
}

static void run(void *argument) {
    struct probe *probe = argument;
    struct failure failure;
    struct resolver_options options = {.server_count = 1, .timeout = 1000};
    options.servers[0] = probe->server;
    struct resolver *resolver = resolver_create(&options, &failure);
    if (!resolver) {
        fprintf(stderr, "dns_probe: %s\n", failure.text);
        return;
    }
    probe->done = true;
    for (int i = 0; i + 1 < probe->count; i += 2) {
        enum dns_type type;
        if (type_from(probe->arguments[i + 1], &type)) {
            print_lookup(resolver, probe->arguments[i], type);
        } else {
            probe->done = false;
        }
    }
    resolver_destroy(&resolver);
}

int main(int count, char **arguments) {
    struct probe probe = {.count = count - 3, .arguments = arguments + 3};
    struct failure failure;
    uint64_t port;
    if (count < 5 || !str_to_u64(str_from(arguments[2]), UINT16_MAX, &port) ||
        !endpoint_from_ip(str_from(arguments[1]), (uint16_t)port, &probe.server)) {
        fprintf(stderr, "usage: dns_probe ADDRESS PORT NAME TYPE [NAME TYPE]...\n");
        return 2;
    }
    if (!loop_create(NULL, &failure) || !task_start("probe", run, &probe)) return 1;
    loop_run();
    loop_destroy();
    return probe.done ? 0 : 1;
}
