/* tern tls-probe: speaks TLS with the servers of a destination, as the SMTP client would, and says what came of it. See
 * tern-tls-probe(1). The client's own code does it (smtp/libsmtp.a), so what is said here is what mail would meet. */
#include "deliver.h"
#include "dns_options.h"
#include "log.h"
#include "next_hop.h"
#include "route.h"
#include "task.h"
#include "tern.h"
#include "tls_client.h"
#include "tls_probe.h"
#include <signal.h>
#include <unistd.h>

#define EXIT_USAGE    64
#define OVERRIDES_MAX 40
#define MATCHES_MAX   ((size_t)4000) /* octets */

struct probe {
    struct smtp smtp;
    struct config config; /* the daemon's, but for what would hold a probe back */
    struct config_override overrides[OVERRIDES_MAX];
    size_t override_count;
    struct buf match;
    struct str target;
    struct arena *arena;
    bool lmtp, print_pem;
    uint64_t connections; /* to each host, one after the other: is the session resumed? */
    unsigned good, bad;   /* hosts */
};

/* ---- options */

static bool set_parameter(struct probe *probe, const char *name, struct str value) {
    if (probe->override_count == OVERRIDES_MAX) return false;
    probe->overrides[probe->override_count++] = (struct config_override){str_from(name), value};
    return true;
}

/* Of the client that is probed: smtp_* or lmtp_*. */
static bool set_client(struct probe *probe, const char *suffix, struct str value) {
    struct buf name = buf_make(0);
    struct str kept;
    buf_printf(&name, "%s_%s", probe->lmtp ? "lmtp" : "smtp", suffix);
    bool good = arena_copy(probe->arena, buf_str(&name), &kept) && set_parameter(probe, kept.data, value);
    buf_free(&name);
    return good;
}

static bool set_free(struct probe *probe, struct str text) {
    struct str name, value, kept;
    return str_cut(text, '=', &name, &value) && arena_copy(probe->arena, name, &kept) &&
           set_parameter(probe, kept.data, value);
}

static bool set_both(struct probe *probe, const char *one, const char *other, struct str value) {
    return set_client(probe, one, value) && set_client(probe, other, value);
}

static bool read_option(struct probe *probe, int option, struct str value) {
    switch (option) {
    case 'C':
        probe->print_pem = true;
        return true;
    case 'd':
        return set_client(probe, "tls_fingerprint_digest", value);
    case 'f':
        return set_client(probe, "tls_force_insecure_host_tlsa_lookup", STR("yes"));
    case 'F':
        return set_client(probe, "tls_CAfile", value);
    case 'g':
        return set_both(probe, "tls_ciphers", "tls_mandatory_ciphers", value);
    case 'l':
        return set_client(probe, "tls_security_level", value);
    case 'm':
        return str_to_u64(value, 100, &probe->connections) && probe->connections > 0;
    case 'M':
        return set_parameter(probe, "smtp_tls_dane_insecure_mx_policy", value);
    case 'o':
        return set_free(probe, value);
    case 'p':
        return set_both(probe, "tls_protocols", "tls_mandatory_protocols", value);
    case 'P':
        return set_client(probe, "tls_CApath", value);
    case 's':
        return set_client(probe, "tls_servername", value);
    case 'S':
        return true;
    case 't':
        return set_client(probe, "connect_timeout", value);
    case 'T':
        return set_both(probe, probe->lmtp ? "lhlo_timeout" : "helo_timeout", "starttls_timeout", value);
    case 'w':
        return set_client(probe, "tls_wrappermode", STR("yes"));
    default:
        return false;
    }
}

static bool add_matches(struct probe *probe, char **words) {
    for (; *words; words++)
        buf_printf(&probe->match, "%s%s", probe->match.length ? "," : "", *words);
    if (buf_overflowed(&probe->match)) return false;
    if (probe->match.length == 0) return true;
    return set_both(probe, "tls_verify_cert_match", "tls_secure_cert_match", buf_str(&probe->match)) &&
           set_client(probe, "tls_fingerprint_cert_match", buf_str(&probe->match));
}

#define OPTIONS "CSd:fF:g:l:m:M:o:p:P:s:t:T:w"

/* The argument vector with a name before it, as getopt wants it. */
static bool read_arguments(struct probe *probe, const struct tern *tern) {
    int option, count = tern->argument_count + 1;
    char **arguments = tern->arguments - 1;
    for (int i = 1; i < count && arguments[i][0] == '-'; i++)
        probe->lmtp = probe->lmtp || strcmp(arguments[i], "-S") == 0; /* the other options' names depend on it */
    bool good = set_client(probe, "tls_security_level", STR("dane")) && set_client(probe, "tls_policy_maps", STR_EMPTY);
    optind = 1;
    while (good && (option = getopt(count, arguments, "+" OPTIONS)) != -1)
        good = read_option(probe, option, optarg ? str_from(optarg) : STR_EMPTY);
    if (!good || optind >= count) return false;
    probe->target = str_from(arguments[optind]);
    return add_matches(probe, arguments + optind + 1);
}

/* ---- what came of it */

static void print_expectation(const struct tls_plan *plan) {
    printf("  level: %s", tls_level_name(plan->level));
    if (plan->configured != plan->level) printf(" (asked for: %s)", tls_level_name(plan->configured));
    for (size_t i = 0; i < plan->session.name_count; i++)
        printf("%s%.*s", i ? ", " : "; names: ", STR_ARGS(plan->session.names[i]));
    if (plan->session.server_name.length) printf("; server name sent: %.*s", STR_ARGS(plan->session.server_name));
    if (plan->session.expect == TLS_EXPECT_DANE) printf("; TLSA records: %zu", plan->session.tlsa_count);
    putchar('\n');
}

static void print_extensions(const struct connection *connection) {
    struct str rest = buf_str(&connection->ehlo_text), line;
    fputs("  offers:", stdout);
    while (str_next_word(&rest, "\n", &line))
        if (line.data != connection->ehlo_text.data && str_is_printable(line)) printf(" %.*s;", STR_ARGS(line));
    putchar('\n');
}

/* True if mail would go out over it. */
static bool print_connection(const struct probe *probe, struct connection *connection, const struct tls_plan *plan) {
    struct buf text = buf_make(0);
    if (!connection->tls) {
        printf("  %s: plain text\n", connection->relay);
        print_extensions(connection);
        return !tls_plan_is_mandatory(plan);
    }
    const struct tls_facts *facts = tls_connection_facts(connection->tls);
    bool good = plan->session.expect == TLS_EXPECT_NOTHING || facts->matched;
    tls_client_describe(connection, plan, &text);
    printf("  %.*s\n", STR_ARGS(buf_str(&text)));
    buf_clear(&text);
    tls_peer_chain(connection->tls, &text);
    char *digest = memory_copy_string(probe->smtp.settings.tls.fingerprint_digest);
    probe_print_chain(buf_str(&text), plan, digest);
    MEMORY_FREE(digest);
    if (probe->print_pem) fputs(buf_string(&text), stdout);
    if (!facts->trusted && facts->reason[0]) printf("  certificate: %s\n", facts->reason);
    if (!good) printf("  Server certificate not verified: %s\n", facts->reason);
    print_extensions(connection);
    buf_free(&text);
    return good;
}

/* One connection, closed again. */
static bool connect_once(struct probe *probe, const struct tls_question *question, const struct tls_plan *plan) {
    struct trouble trouble = {0};
    struct tls_plan looking = *plan;
    looking.report_only = true; /* a certificate that is no good is looked at, too */
    struct connection *connection = session_open(&probe->smtp, question, &looking, probe->arena, &trouble);
    if (!connection) {
        printf("  %.*s %.*s\n", STR_ARGS(trouble.status), STR_ARGS(trouble.text));
        return false;
    }
    bool good = print_connection(probe, connection, plan);
    connection_quit(connection);
    return good;
}

static bool probe_host(struct probe *probe, const struct tls_question *question) {
    struct trouble trouble = {0};
    struct tls_plan plan;
    const struct host *host = question->host;
    struct buf relay = buf_make(0);
    host_relay(host, &relay);
    printf("%.*s%s", STR_ARGS(buf_str(&relay)), host->authentic ? " (signed)" : "");
    if (question->route->by_mx) printf(" MX %u%s", host->preference, question->route->mx_authentic ? " (signed)" : "");
    putchar('\n');
    buf_free(&relay);
    if (!tls_plan_make(&probe->smtp, question, probe->arena, &plan, &trouble)) {
        printf("  %.*s %.*s\n", STR_ARGS(trouble.status), STR_ARGS(trouble.text));
        return false;
    }
    print_expectation(&plan);
    bool good = true;
    for (uint64_t i = 0; i < probe->connections; i++)
        good = connect_once(probe, question, &plan) && good;
    return good;
}

static void probe_all(void *argument) {
    struct probe *probe = argument;
    struct smtp *smtp = &probe->smtp;
    struct next_hop next_hop;
    struct route route = {0};
    struct trouble trouble = {0};
    struct failure failure = {0};
    probe->bad = 1;
    if (!next_hop_parse(probe->target, probe->lmtp, smtp->settings.port, &next_hop, &failure)) {
        tern_complain("%s", failure.text);
        return;
    }
    if (!route_find(smtp, &next_hop, probe->arena, &route, &trouble)) {
        printf("%.*s %.*s\n", STR_ARGS(trouble.status), STR_ARGS(trouble.text));
        return;
    }
    probe->bad = 0;
    for (size_t i = 0; i < route.count; i++) {
        struct tls_question question = {
            .next_hop_text = probe->target, .next_hop = &next_hop, .route = &route, .host = &route.hosts[i]};
        if (probe_host(probe, &question))
            probe->good++;
        else
            probe->bad++;
    }
    printf("%u of %u addresses would get mail\n", probe->good, probe->good + probe->bad);
}

/* ---- the client, without a daemon around it */

static bool prepare(struct probe *probe, const struct tern *tern, struct failure *failure) {
    struct smtp *smtp = &probe->smtp;
    struct resolver_options options;
    struct config *config = NULL;
    if (!config_load(tern->config_directory, probe->overrides, probe->override_count, SCOPE_ALL, &config, NULL,
                     failure))
        return false;
    if (!smtp_settings_read(config, probe->lmtp, &smtp->settings, failure) ||
        !dns_options_read(config, &options, failure))
        return false;
    probe->config = *config;
    probe->config.myhostname = STR_EMPTY; /* a server that bears our own name is looked at all the same */
    smtp->config = &probe->config;
    smtp->settings.mx_address_limit = 0;
    smtp->settings.tls.log_level = 0; /* it is printed here */
    smtp->resolver = resolver_create(&options, failure);
    if (!smtp->resolver) return false;
    if (smtp->settings.look_in_hosts && !config_read_file("/etc/hosts", (size_t)1 << 20, &smtp->hosts_text, failure))
        return false;
    tls_client_read_roots(&smtp->settings.tls, &smtp->roots);
    smtp->tls = tls_client_create(smtp, buf_str(&smtp->roots));
    return true;
}

static void usage(void) {
    tern_complain("usage: tern tls-probe [-CfSw] [-d digest] [-F CAfile] [-g grade] [-l level] [-m count] [-M policy] "
                  "[-o name=value] [-p protocols] [-P CApath] [-s name] [-t timeout] [-T timeout] "
                  "DOMAIN[:PORT]|[HOST][:PORT] [match]...");
}

int tern_tls_probe(const struct tern *tern) {
    struct probe *probe = MEMORY_NEW(struct probe);
    struct loop_options loop = {0};
    struct failure failure = {0};
    int status = EXIT_FAILURE;
    probe->arena = arena_create(0);
    probe->match = buf_make(MATCHES_MAX);
    probe->connections = 1;
    log_open(-1, "tls-probe");
    signal(SIGPIPE, SIG_IGN);
    if (!read_arguments(probe, tern)) {
        usage();
        status = EXIT_USAGE;
    } else if (!prepare(probe, tern, &failure) || !loop_create(&loop, &failure)) {
        tern_complain("%s", failure.text);
    } else {
        if (task_start("probe", probe_all, probe)) loop_run();
        loop_destroy();
        status = probe->good && !probe->bad ? EXIT_SUCCESS : EXIT_FAILURE;
    }
    tls_client_destroy(&probe->smtp.tls);
    if (probe->smtp.resolver) resolver_destroy(&probe->smtp.resolver);
    buf_free(&probe->smtp.roots);
    buf_free(&probe->smtp.hosts_text);
    buf_free(&probe->match);
    arena_destroy(&probe->arena);
    MEMORY_FREE(probe);
    return status;
}
