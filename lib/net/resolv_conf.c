/* Reading resolv.conf. */
#include "resolv_conf.h"

#define DNS_PORT         53
#define TIMEOUT_MAXIMUM  30 /* seconds */
#define ATTEMPTS_MAXIMUM 5

static const char blanks[] = " \t\r";

static void read_option(struct str option, struct resolv_conf *conf) {
    struct str name, value;
    uint64_t number;
    if (!str_cut(option, ':', &name, &value) || !str_to_u64(value, UINT32_MAX, &number)) return;
    if (str_equal(name, STR("timeout"))) {
        conf->timeout = (int64_t)(number > TIMEOUT_MAXIMUM ? TIMEOUT_MAXIMUM : number) * 1000;
    } else if (str_equal(name, STR("attempts"))) {
        conf->attempts = (unsigned)(number > ATTEMPTS_MAXIMUM ? ATTEMPTS_MAXIMUM : number);
    }
}

static void read_line(struct str line, struct resolv_conf *conf) {
    struct str word;
    struct endpoint server;
    if (!str_next_word(&line, blanks, &word) || word.data[0] == '#' || word.data[0] == ';') return;
    if (str_equal(word, STR("nameserver"))) {
        if (conf->server_count < RESOLV_CONF_SERVERS && str_next_word(&line, blanks, &word) &&
            endpoint_from_ip(word, DNS_PORT, &server))
            conf->servers[conf->server_count++] = server;
    } else if (str_equal(word, STR("options"))) {
        while (str_next_word(&line, blanks, &word)) read_option(word, conf);
    }
}

void resolv_conf_parse(struct str text, struct resolv_conf *conf) {
    struct resolv_conf made = {.server_count = 0};
    struct str line;
    while (text.length > 0) {
        if (!str_cut(text, '\n', &line, &text)) {
            line = text;
            text = STR_EMPTY;
        }
        read_line(line, &made);
    }
    if (made.server_count == 0 && endpoint_from_ip(STR("127.0.0.1"), DNS_PORT, &made.servers[0])) made.server_count = 1;
    *conf = made;
}
