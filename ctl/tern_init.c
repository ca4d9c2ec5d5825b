/* tern init: a whole private mail system below one directory, on loopback.
 *
 *   DIR/etc    main.cf, master.cf, aliases, users, users.passwd; with --tls tls/chain.pem (with the key),
 * tls/certificate.pem DIR/spool  queue, sockets, pid file DIR/data   caches DIR/mail   mailboxes DIR/log    tern.log
 *
 * It needs no root: run by an ordinary user everything belongs to, and runs as,
 * that user. */
#include "tern.h"

#include "init_certificate.h"
#include "lmdb_build.h"
#include "memory.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#define PORT_BASE_DEFAULT 20000
#define PORT_SMTP         25
#define PORT_LMTP         24
#define PORT_SMTPS        465
#define PORT_SUBMISSION   587
#define PORT_IMAP         143
#define PORT_IMAPS        993
#define PORT_POP3         110
#define PORT_POP3S        995
#define SETTING_LIMIT     200
#define FILE_LIMIT        ((size_t)256 * 1024)

struct plan {
    char *directory; /* absolute */
    const char *domain;
    uint64_t port_base;
    bool tls;
    const char *settings[SETTING_LIMIT];
    size_t setting_count;
    uid_t mail_user;
    gid_t mail_group;
    char owner[64];
};

/* ---- where the programs are */

static bool is_program(const char *folder, const char *name) {
    char path[PATH_MAX];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length > 0 && (size_t)length < sizeof path && access(path, X_OK) == 0;
}

/* Installed below DESTDIR, or moved as a whole, the programs do not stand where they were built for, but beside
 * this one. Writes nothing if they do, or if they are nowhere to be found. */
static void write_moved_programs(struct buf *out) {
    char own[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", own, sizeof own - 1);
    if (is_program(TERN_DAEMON_DIRECTORY, "master") || length <= 0) return;
    own[length] = '\0';
    struct str commands = str_slice(str_from(own), 0, str_find_last(str_from(own), '/'));
    struct str built_for = STR(TERN_COMMAND_DIRECTORY), daemons = STR(TERN_DAEMON_DIRECTORY);
    if (commands.length < built_for.length || !str_ends(commands, built_for)) return;
    struct buf moved = buf_make(PATH_MAX);
    buf_append(&moved, str_slice(commands, 0, commands.length - built_for.length));
    buf_append(&moved, daemons);
    if (is_program(buf_string(&moved), "master"))
        buf_printf(out, "daemon_directory = %s\ncommand_directory = %.*s\n", buf_string(&moved), STR_ARGS(commands));
    buf_free(&moved);
}

/* ---- the files' texts */

static void write_defaults(const struct plan *plan, struct buf *out) {
    const char *d = plan->directory;
    buf_printf(out,
               "# main.cf of a private instance, made by tern init. It listens on loopback only.\n"
               "config_directory = %s/etc\n"
               "queue_directory = %s/spool\n"
               "data_directory = %s/data\n"
               "maillog_file = %s/log/tern.log\n"
               "maillog_file_prefixes = %s/log, /dev/stdout\n"
               "mail_owner = %s\n"
               "setgid_group = " ACCOUNT_GROUP_DROP "\n"
               "syslog_name = postfix\n\n",
               d, d, d, d, d, plan->owner);
    write_moved_programs(out);
    buf_printf(out,
               "mydomain = %s\n"
               "myhostname = mail.$mydomain\n"
               "mydestination = $myhostname, localhost\n"
               "inet_interfaces = loopback-only\n"
               "mynetworks = 127.0.0.0/8, [::1]/128\n\n",
               plan->domain);
    buf_printf(out,
               "alias_maps = lmdb:%s/etc/aliases\n"
               "alias_database = $alias_maps\n"
               "virtual_mailbox_domains = $mydomain\n"
               "virtual_mailbox_base = %s/mail\n"
               "mail_account_domains = $virtual_mailbox_domains\n"
               "virtual_mailbox_maps = texthash:%s/etc/users,\n"
               "    inline:{ postmaster@$mydomain=$mydomain/postmaster/Maildir/ }\n"
               "virtual_uid_maps = static:%u\n"
               "virtual_gid_maps = static:%u\n",
               d, d, d, (unsigned)plan->mail_user, (unsigned)plan->mail_group);
    buf_printf(out,
               "mail_location = maildir:$virtual_mailbox_base/%%d/%%n/Maildir\n"
               "mail_uid = %u\n"
               "mail_gid = %u\n"
               "login_tls = may\n",
               (unsigned)plan->mail_user, (unsigned)plan->mail_group);
    if (plan->tls)
        buf_printf(out,
                   "smtpd_tls_chain_files = %s/etc/tls/chain.pem\n"
                   "smtpd_tls_security_level = may\n",
                   d);
    if (plan->mail_user < 500 && plan->mail_user > 0)
        buf_printf(out, "first_valid_uid = %u\n", (unsigned)plan->mail_user);
    if (plan->mail_user < 100 && plan->mail_user > 0)
        buf_printf(out, "virtual_minimum_uid = %u\n", (unsigned)plan->mail_user);
}

static bool is_set(const struct plan *plan, struct str wanted) {
    struct str name;
    struct str value;
    for (size_t i = 0; i < plan->setting_count; i++)
        if (str_cut(str_from(plan->settings[i]), '=', &name, &value) && str_equal(str_trim(name), wanted)) return true;
    return false;
}

/* The lines that no --set replaces, then the settings. */
static void write_main_cf(const struct plan *plan, struct buf *out) {
    struct buf text = buf_make(FILE_LIMIT);
    write_defaults(plan, &text);
    struct str rest = buf_str(&text);
    struct str line;
    bool replaced = false;
    while (str_cut(rest, '\n', &line, &rest)) {
        struct str name = STR_EMPTY;
        struct str value = STR_EMPTY;
        if (!str_starts(line, STR(" "))) /* else it continues the line before, and goes with it */
            replaced = str_cut(line, '=', &name, &value) && is_set(plan, str_trim(name));
        if (replaced) continue;
        buf_append(out, line);
        buf_append_char(out, '\n');
    }
    buf_free(&text);
    for (size_t i = 0; i < plan->setting_count; i++) {
        struct str name = STR_EMPTY;
        struct str value = STR_EMPTY;
        if (str_cut(str_from(plan->settings[i]), '=', &name, &value))
            buf_printf(out, "%.*s = %.*s\n", STR_ARGS(str_trim(name)), STR_ARGS(str_trim(value)));
    }
}

/* A commented service of the shipped master.cf and its options, on a port of this instance. rest is what follows
 * its first line. */
static void write_commented(struct buf *out, struct str line, struct str *rest, uint64_t port) {
    struct str option, after;
    size_t type = str_find_str(line, STR(" inet "));
    buf_printf(out, "%-9llu%.*s\n", (unsigned long long)port, STR_ARGS(str_from_offset(line, type)));
    while (str_starts(*rest, STR("#  ")) && str_cut(*rest, '\n', &option, &after)) {
        buf_printf(out, "%.*s\n", STR_ARGS(str_from_offset(option, 1)));
        *rest = after;
    }
}

/* The shipped master.cf with the ports of this instance instead of port 25, and 587 and 465. */
static void write_master_cf(const struct plan *plan, struct buf *out) {
    static const char shipped[] =
#include "master_cf_text.h" /* conf/master.cf as a string literal, made by conf/local.mk */
        ;
    struct str rest = str_make(shipped, sizeof shipped - 1);
    while (rest.length > 0) {
        struct str line;
        struct str after;
        if (!str_cut(rest, '\n', &line, &after)) {
            line = rest;
            after = STR_EMPTY;
        }
        rest = after;
        if (str_starts(line, STR("smtp ")) && str_find_str(line, STR(" inet ")) != STR_NONE) {
            buf_printf(out, "%llu     inet  n       -       -       -       -       smtpd\n",
                       (unsigned long long)plan->port_base + PORT_SMTP);
            buf_printf(out,
                       "%llu     inet  n       -       -       -       -       smtpd\n"
                       "  -o syslog_name=postfix/lmtp\n"
                       "  -o smtpd_protocol=lmtp\n",
                       (unsigned long long)plan->port_base + PORT_LMTP);
        } else if (plan->tls && str_starts(line, STR("#submission "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_SUBMISSION);
        } else if (plan->tls && str_starts(line, STR("#submissions "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_SMTPS);
        } else if (str_starts(line, STR("#imap "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_IMAP);
        } else if (plan->tls && str_starts(line, STR("#imaps "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_IMAPS);
        } else if (str_starts(line, STR("#pop3 "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_POP3);
        } else if (plan->tls && str_starts(line, STR("#pop3s "))) {
            write_commented(out, line, &rest, plan->port_base + PORT_POP3S);
        } else {
            buf_append(out, line);
            buf_append_char(out, '\n');
        }
    }
}

/* Names that RFC 5321 section 4.5.1 and RFC 2142 ask for. */
static const struct alias_row {
    const char *name, *target;
} alias_rows[] = {
    {"postmaster", NULL}, {"mailer-daemon", "postmaster"}, {"root", "postmaster"}, {"abuse", "postmaster"}};

/* A NULL target is the postmaster's mailbox of the private domain. */
static void append_target(const struct plan *plan, const struct alias_row *row, struct buf *out) {
    if (row->target)
        buf_append(out, str_from(row->target));
    else
        buf_printf(out, "postmaster@%s", plan->domain);
}

static void write_aliases(const struct plan *plan, struct buf *out) {
    buf_append(
        out,
        STR("# aliases: name: where to. Looked up for the domains in mydestination; after a change: newaliases.\n"));
    for (size_t i = 0; i < ARRAY_LENGTH(alias_rows); i++) {
        buf_printf(out, "%s: ", alias_rows[i].name);
        append_target(plan, &alias_rows[i], out);
        buf_append_char(out, '\n');
    }
}

static const char users_text[] = "# users: mailboxes, a line each: address, path below virtual_mailbox_base.\n"
                                 "# tern user add NAME@DOMAIN writes it.\n";

/* ---- writing it */

static bool write_file(const struct plan *plan, const char *name, struct str content, mode_t mode,
                       struct failure *failure) {
    struct buf path = buf_make(4096);
    buf_printf(&path, "%s/etc/%s", plan->directory, name);
    bool good = access(buf_string(&path), F_OK) == 0 ? failure_set(failure, "%s exists already", buf_string(&path))
                                                     : files_replace(buf_string(&path), content, mode, failure);
    buf_free(&path);
    return good;
}

/* What ternalias would make of that. */
static bool build_aliases(const struct plan *plan, struct failure *failure) {
    struct buf path = buf_make(4096);
    struct lmdb_build *build;
    buf_printf(&path, "%s/etc/aliases.lmdb", plan->directory);
    bool good = lmdb_build_start(buf_str(&path), false, &build, failure);
    if (good) {
        struct buf target = buf_make(1024);
        for (size_t i = 0; good && i < ARRAY_LENGTH(alias_rows); i++) {
            buf_clear(&target);
            append_target(plan, &alias_rows[i], &target);
            good = lmdb_build_put(build, str_from(alias_rows[i].name), buf_str(&target), i + 2, false, NULL) ==
                   LMDB_BUILD_NEW;
        }
        buf_free(&target);
        good = good && lmdb_build_commit(build, 0644, (uid_t)-1, (gid_t)-1, false, failure);
        lmdb_build_free(&build);
    }
    buf_free(&path);
    return good;
}

/* Who may read etc/tls/chain.pem can pose as this server; the certificate is for clients, to trust it. */
static bool write_certificate(const struct plan *plan, struct failure *failure) {
    struct buf chain = buf_make(FILE_LIMIT), certificate = buf_make(FILE_LIMIT), host = buf_make(256);
    buf_printf(&host, "mail.%s", plan->domain);
    bool good = init_certificate_make(buf_string(&host), plan->domain, &chain, &certificate, failure) &&
                write_file(plan, "tls/chain.pem", buf_str(&chain), 0600, failure) &&
                write_file(plan, "tls/certificate.pem", buf_str(&certificate), 0644, failure);
    buf_free(&host);
    buf_free(&certificate);
    buf_free_secret(&chain);
    return good;
}

/* auth reads it from the first mail on, to see whose mailbox an address is. */
static bool write_passwords(const struct plan *plan, struct failure *failure) {
    uid_t ignored;
    gid_t group;
    struct buf path = buf_make(4096);
    buf_printf(&path, "%s/etc/users.passwd", plan->directory);
    bool good = access(buf_string(&path), F_OK) == 0 ? failure_set(failure, "%s exists already", buf_string(&path))
                : accounts_find(plan->owner, "auth", &ignored, &group)
                    ? files_replace_for(buf_string(&path), STR_EMPTY, group, failure)
                    : failure_set(failure, "nobody could read the passwords");
    buf_free(&path);
    return good;
}

static bool write_configuration(const struct plan *plan, struct failure *failure) {
    struct buf main_cf = buf_make(FILE_LIMIT);
    struct buf master_cf = buf_make(FILE_LIMIT);
    struct buf aliases = buf_make(FILE_LIMIT);
    write_aliases(plan, &aliases);
    write_main_cf(plan, &main_cf);
    write_master_cf(plan, &master_cf);
    bool good = write_file(plan, "main.cf", buf_str(&main_cf), 0644, failure) &&
                write_file(plan, "master.cf", buf_str(&master_cf), 0644, failure) &&
                write_file(plan, "aliases", buf_str(&aliases), 0644, failure) && build_aliases(plan, failure) &&
                write_file(plan, "users", str_from(users_text), 0644, failure) && write_passwords(plan, failure) &&
                (!plan->tls || write_certificate(plan, failure));
    buf_free(&main_cf);
    buf_free(&master_cf);
    buf_free(&aliases);
    return good;
}

static bool make_part(const struct plan *plan, const char *part, uid_t owner, gid_t group, mode_t mode,
                      struct failure *failure) {
    struct buf path = buf_make(4096);
    buf_printf(&path, "%s%s", plan->directory, part);
    bool good = files_make_path(buf_string(&path), owner, group, mode, failure);
    buf_free(&path);
    return good;
}

static bool make_directories(const struct plan *plan, struct failure *failure) {
    uid_t own = geteuid();
    gid_t own_group = getegid();
    return make_part(plan, "", own, own_group, 0755, failure) &&
           make_part(plan, "/etc", own, own_group, 0755, failure) &&
           (!plan->tls || make_part(plan, "/etc/tls", own, own_group, 0755, failure)) &&
           make_part(plan, "/mail", plan->mail_user, plan->mail_group, 0755, failure);
}

/* ---- who and what */

static bool settle_accounts(struct plan *plan, struct failure *failure) {
    if (geteuid() == 0 && !accounts_make(failure)) return false;
    if (!accounts_find(ACCOUNT_OWNER, "mail", &plan->mail_user, &plan->mail_group))
        return failure_set(failure, "no owner for the mailboxes");
    const struct passwd *account = geteuid() == 0 ? NULL : getpwuid(geteuid());
    if (geteuid() == 0)
        snprintf(plan->owner, sizeof plan->owner, ACCOUNT_OWNER);
    else if (account != NULL)
        snprintf(plan->owner, sizeof plan->owner, "%s", account->pw_name);
    else
        snprintf(plan->owner, sizeof plan->owner, "%u", (unsigned)geteuid());
    return true;
}

static bool read_option(struct plan *plan, const char *option, const char *value) {
    if (strcmp(option, "--domain") == 0)
        plan->domain = value;
    else if (strcmp(option, "--port-base") == 0)
        return str_to_u64(str_from(value), 65535 - PORT_IMAPS, &plan->port_base);
    else if (strcmp(option, "--set") == 0 && plan->setting_count < SETTING_LIMIT && strchr(value, '=') != NULL &&
             strchr(value, '\n') == NULL)
        plan->settings[plan->setting_count++] = value;
    else
        return false;
    return true;
}

static bool read_arguments(struct plan *plan, const struct tern *tern, const char **directory) {
    for (int i = 0; i < tern->argument_count; i++) {
        const char *argument = tern->arguments[i];
        if (argument[0] != '-') {
            if (*directory != NULL) return false;
            *directory = argument;
        } else if (strcmp(argument, "--tls") == 0) {
            plan->tls = true;
        } else if (i + 1 >= tern->argument_count || !read_option(plan, argument, tern->arguments[++i]))
            return false;
    }
    return *directory != NULL;
}

/* DIR need not exist yet, so realpath cannot be asked about it before it is made. */
static bool make_absolute(struct plan *plan, const char *directory, struct failure *failure) {
    struct failure ignored;
    (void)!files_make_path(directory, geteuid(), getegid(), 0755, &ignored);
    plan->directory = realpath(directory, NULL);
    return plan->directory != NULL || failure_set_errno(failure, errno, "%s", directory);
}

static void say_made(const struct plan *plan, const char *configuration) {
    unsigned long long base = plan->port_base;
    printf("made %s: SMTP on port %llu, LMTP on port %llu, IMAP on port %llu\n", plan->directory, base + PORT_SMTP,
           base + PORT_LMTP, base + PORT_IMAP);
    if (plan->tls)
        printf("submission on port %llu, with TLS from the start on port %llu; clients trust %s/tls/certificate.pem\n",
               base + PORT_SUBMISSION, base + PORT_SMTPS, configuration);
    printf("start it by: tern -c %s start\n", configuration);
}

int tern_init(const struct tern *tern) {
    struct plan *plan = MEMORY_NEW(struct plan);
    const char *directory = NULL;
    struct failure failure = {0};
    int status = EXIT_FAILURE;
    plan->domain = "example.test";
    plan->port_base = PORT_BASE_DEFAULT;
    if (!read_arguments(plan, tern, &directory)) {
        tern_complain("usage: tern init DIR [--domain NAME] [--port-base N] [--tls] [--set name=value]...");
        status = 64;
    } else if (!make_absolute(plan, directory, &failure) || !settle_accounts(plan, &failure) ||
               !make_directories(plan, &failure) || !write_configuration(plan, &failure)) {
        tern_complain("%s", failure.text);
    } else {
        struct buf configuration = buf_make(4096);
        buf_printf(&configuration, "%s/etc", plan->directory);
        struct tern made = {.config_directory = buf_string(&configuration)};
        status = tern_check(&made);
        if (status == EXIT_SUCCESS) say_made(plan, buf_string(&configuration));
        buf_free(&configuration);
    }
    free(plan->directory);
    free(plan);
    return status;
}
