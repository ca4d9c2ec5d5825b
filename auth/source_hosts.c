/* Lists of servers. */
#include "source_hosts.h"

#include "memory.h"

enum { LEFT_ALONE_MS = 30000 };

static bool add_host(struct source_hosts *hosts, struct str text, struct failure *failure) {
    struct str given = text;
    uint64_t number = 0;
    if (hosts->count == SOURCE_HOSTS_MAX) return failure_set(failure, "hosts: more than %d", SOURCE_HOSTS_MAX);
    struct source_host *host = &hosts->list[hosts->count];
    if (str_starts(text, STR("unix:"))) text = str_from_offset(text, 5);
    if (str_starts(text, STR("inet:"))) text = str_from_offset(text, 5);
    bool local = str_starts(text, STR("/")), bracketed = str_starts(text, STR("["));
    size_t colon = str_find_last(text, ':');
    bool has_port = !local && colon != STR_NONE && colon > 0 &&
                    (bracketed ? text.data[colon - 1] == ']' : str_find(text, ':') == colon);
    struct str name = has_port ? str_slice(text, 0, colon) : text;
    struct str port = has_port ? str_from_offset(text, colon + 1) : STR_EMPTY;
    if (bracketed && str_ends(name, STR("]"))) name = str_slice(name, 1, name.length - 1);
    if (name.length == 0 || (has_port && (!str_to_u64(port, 65535, &number) || number == 0)))
        return failure_set(failure, "hosts: \"%.*s\" is no host with or without a port",
                           STR_ARGS(str_slice(given, 0, 80)));
    *host = (struct source_host){.name = memory_copy_string(name), .port = memory_copy_string(port), .local = local};
    hosts->count++;
    return true;
}

bool source_hosts_parse(struct str list, struct source_hosts *hosts, struct failure *failure) {
    struct source_hosts made = {.count = 0};
    struct str word;
    bool good = true;
    while (good && str_next_word(&list, ", \t", &word))
        good = add_host(&made, word, failure);
    if (good && made.count == 0) good = failure_set(failure, "hosts: none");
    if (good)
        *hosts = made;
    else
        source_hosts_free(&made);
    return good;
}

void source_hosts_free(struct source_hosts *hosts) {
    for (size_t i = 0; i < hosts->count; i++) {
        MEMORY_FREE(hosts->list[i].name);
        MEMORY_FREE(hosts->list[i].port);
    }
    hosts->count = 0;
}

void source_hosts_order(struct source_hosts *hosts, struct source_host *order[SOURCE_HOSTS_MAX]) {
    size_t count = 0;
    for (int alone = 0; alone < 2; alone++)
        for (size_t i = 0; i < hosts->count; i++)
            if ((deadline_left(hosts->list[i].again) > 0) == alone) order[count++] = &hosts->list[i];
}

void source_host_note(struct source_host *host, bool answered) {
    host->again = answered ? 0 : deadline_in(LEFT_ALONE_MS);
}
