/* tern: the operator's command. One row a subcommand; see tern(8). */
#include "tern.h"

#include "memory.h"

#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 64

struct subcommand {
    const char *name;
    int (*function)(const struct tern *tern);
    const char *arguments;
    const char *what;
};

static int tern_version(const struct tern *tern);
static int tern_help(const struct tern *tern);

static const struct subcommand subcommands[] = {
    {"start", tern_start, "[--foreground]", "start the mail system and wait until it serves"},
    {"start-fg", tern_start_foreground, "", "as start --foreground"},
    {"stop", tern_stop, "", "stop it and wait until all processes are gone"},
    {"abort", tern_stop, "", "as stop"},
    {"reload", tern_reload, "", "take the configuration anew without losing a connection"},
    {"restart", tern_restart, "", "stop and start"},
    {"status", tern_status, "", "is it running: exit status 0"},
    {"pids", tern_pids, "", "a line for every process: service and pid"},
    {"flush", tern_flush, "", "try all deferred mail now, as ternqueue -f"},
    {"logrotate", tern_logrotate, "", "set maillog_file aside, and compress it"},
    {"check", tern_check, "", "look over configuration and directories"},
    {"init", tern_init, "DIR [--domain NAME] [--port-base N] [--tls] [--set name=value]...",
     "make a private instance below DIR"},
    {"user", tern_user,
     "[--json] [--scheme NAME] add|del|passwd NAME@DOMAIN | list | app NAME@DOMAIN [add|del LABEL] | quota NAME@DOMAIN "
     "[storage=OCTETS|none] [messages=NUMBER|none]",
     "mailbox users; passwords come by standard input"},
    {"mailbox", tern_mailbox, "[--json] list|status|create|delete|rename|rebuild USER [MAILBOX [NEW]]",
     "the mailboxes of an account"},
    {"who", tern_who, "[--json] [USER]", "sessions of IMAP and POP3"},
    {"kick", tern_kick, "[--json] USER|SESSION", "end them"},
    {"auth", tern_auth,
     "[--json] bans | ban account|address NAME [TIME [REASON]] | unban account|address NAME | unban all | test USER | "
     "hash [SCHEME]",
     "failed logins and passwords"},
    {"tls", tern_tls, "SUBCOMMAND ...",
     "keys and certificates of the SMTP server, as postfix tls; without more: its usage"},
    {"submission", tern_submission, "[--json] [list] | hold LOGIN [REASON] | lift|release|delete LOGIN",
     "what accounts have sent, and those whose mail is on hold"},
    {"tlsrpt", tern_tlsrpt, "[send [DOMAIN]]", "what is gathered for reports on TLS; make and send them now"},
    {"tls-probe", tern_tls_probe, "[options] DOMAIN[:PORT]|[HOST][:PORT] [match]...",
     "speak TLS with the mail servers of a domain and say what came of it: tern-tls-probe(1)"},
    {"version", tern_version, "", "print the version"},
    {"help", tern_help, "", "print this"},
};

static int tern_version(const struct tern *tern) {
    (void)tern;
    puts(PACKAGE_STRING);
    return EXIT_SUCCESS;
}

static void print_usage(FILE *to) {
    fputs("usage: tern [-c directory] subcommand\n", to);
    for (size_t i = 0; i < ARRAY_LENGTH(subcommands); i++)
        fprintf(to, "  %s%s%s\n        %s\n", subcommands[i].name, subcommands[i].arguments[0] != '\0' ? " " : "",
                subcommands[i].arguments, subcommands[i].what);
}

static int tern_help(const struct tern *tern) {
    (void)tern;
    print_usage(stdout);
    return EXIT_SUCCESS;
}

/* Who asks "tern stop --help" wants to read, not to stop: a subcommand without arguments takes none. */
static int run(const struct subcommand *subcommand, const struct tern *tern) {
    if (subcommand->arguments[0] != '\0' || tern->argument_count == 0) return subcommand->function(tern);
    tern_complain("usage: tern %s (%s)", subcommand->name, subcommand->what);
    return EXIT_USAGE;
}

int main(int count, char **arguments) {
    struct tern tern = {.config_directory = config_default_directory()};
    int option;
    umask(0022);
    while ((option = getopt(count, arguments, "+c:Dv")) != -1) {
        if (option == '?') {
            print_usage(stderr);
            return EXIT_USAGE;
        }
        if (option == 'c')
            tern.config_directory = optarg; /* -D and -v are postfix's; there is nothing more to say */
    }
    if (optind >= count) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    char *directory = realpath(tern.config_directory, NULL); /* it goes to master, which lives elsewhere */
    if (directory != NULL) tern.config_directory = directory;
    tern.argument_count = count - optind - 1;
    tern.arguments = arguments + optind + 1;
    for (size_t i = 0; i < ARRAY_LENGTH(subcommands); i++)
        if (strcmp(subcommands[i].name, arguments[optind]) == 0) {
            int status = run(&subcommands[i], &tern);
            free(directory);
            return status;
        }
    tern_complain("no subcommand %s; tern help lists them", arguments[optind]);
    free(directory);
    return EXIT_USAGE;
}
