/* sendmail: the command that local programs know.
 *
 * Its options are those of old; what they are, and what tern does with each, is the
 * table below. The exit status is of sysexits. Called as mailq it lists the queue, as
 * newaliases it rebuilds the aliases. It has no privileges of its own. */
#include "address_list.h"
#include "config_load.h"
#include "sendmail.h"
#include "smtp_command.h"
#include "xtext.h"
#include <pwd.h>
#include <sysexits.h>
#include <unistd.h>

enum mode { MODE_SEND, MODE_SMTP, MODE_LIST, MODE_ALIASES, MODE_FLUSH, MODE_DAEMON };

struct options {
    enum mode mode;
    const char *directory; /* -C */
    const char *flush_id, *flush_site;
    struct letter letter;
    const char **recipients;
    int recipient_count;
};

static void warn(const char *text) {
    fprintf(stderr, "sendmail: warning: %s\n", text);
}

/* ---- options: a letter, whether a value follows, and what is done */

typedef int option_handler(struct options *options, const char *value, struct failure *failure);

static int usage(struct failure *failure, const char *format, const char *value) {
    failure_set(failure, "%s \"%s\"", format, value);
    return EX_USAGE;
}

static int on_ignored(struct options *options, const char *value, struct failure *failure) {
    (void)options, (void)value, (void)failure;
    return EX_OK;
}

static int on_mode(struct options *options, const char *value, struct failure *failure) {
    switch (value[0]) {
    case 'm':
        options->mode = MODE_SEND;
        return EX_OK;
    case 's':
        options->mode = MODE_SMTP;
        return EX_OK;
    case 'p':
        options->mode = MODE_LIST;
        return EX_OK;
    case 'i':
        options->mode = MODE_ALIASES;
        return EX_OK;
    case 'd':
    case 'l':
        options->mode = MODE_DAEMON;
        return EX_OK;
    case 'h':
    case 'H':
        return EX_OK;
    case 'v':
        options->mode = MODE_SEND;
        options->letter.report = REPORT_VERIFY;
        return EX_OK;
    default:
        return usage(failure, "unknown mode -b", value);
    }
}

static int on_body(struct options *options, const char *value, struct failure *failure) {
    if (str_equal_nocase(str_from(value), STR("7BIT")))
        options->letter.body = 0;
    else if (str_equal_nocase(str_from(value), STR("8BITMIME")))
        options->letter.body = 1;
    else
        return usage(failure, "-B takes 7BIT or 8BITMIME, not", value);
    return EX_OK;
}

static int on_directory(struct options *options, const char *value, struct failure *failure) {
    (void)failure;
    /* A file is taken for its folder, as "-C /etc/tern/main.cf". */
    struct str path = str_from(value);
    if (str_ends(path, STR("/main.cf"))) path = str_slice(path, 0, path.length - 8);
    struct str copy;
    if (!arena_copy(options->letter.arena, path, &copy)) return EX_OSERR;
    options->directory = copy.data;
    return EX_OK;
}

/* An address, bare or in angle brackets, or with a name as in a header: "Ada <ada@example.com>". */
static bool read_sender(struct str text, struct mail_address *address) {
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8;
    struct str bare =
        text.data[0] == '<' && text.data[text.length - 1] == '>' ? str_slice(text, 1, text.length - 1) : text;
    if (mail_address_parse(bare, flags, address) == MAIL_ADDRESS_OK) return true;
    struct address_list list;
    struct address_list_item item, more;
    address_list_begin(&list, text, 0);
    bool good = address_list_next(&list, &item) == ADDRESS_LIST_ITEM &&
                mail_address_from_parts(item.local, item.domain, flags, address) == MAIL_ADDRESS_OK &&
                address_list_next(&list, &more) == ADDRESS_LIST_END;
    address_list_free(&list);
    return good;
}

static int on_sender(struct options *options, const char *value, struct failure *failure) {
    struct mail_address address;
    struct str text = str_trim(str_from(value));
    struct letter *letter = &options->letter;
    if (text.length == 0 || str_equal(text, STR("<>"))) {
        letter->null_sender = true;
        letter->sender = STR_EMPTY;
        return EX_OK;
    }
    if (!read_sender(text, &address)) return usage(failure, "the sender is not an address:", value);
    if (mail_address_traits(&address) & MAIL_ADDRESS_NON_ASCII) letter->smtputf8 = true;
    letter->null_sender = false;
    return arena_copy(letter->arena, mail_address_text(&address), &letter->sender) ? EX_OK : EX_OSERR;
}

static int on_full_name(struct options *options, const char *value, struct failure *failure) {
    (void)failure;
    options->letter.full_name = str_slice(str_from(value), 0, 200);
    return EX_OK;
}

static int on_dot(struct options *options, const char *value, struct failure *failure) {
    (void)value, (void)failure;
    options->letter.dot_is_content = true;
    return EX_OK;
}

static int on_aliases(struct options *options, const char *value, struct failure *failure) {
    (void)value, (void)failure;
    options->mode = MODE_ALIASES;
    return EX_OK;
}

/* A wish for notices that is not understood does not keep the message from being sent. */
static int on_notify(struct options *options, const char *value, struct failure *failure) {
    struct buf list = buf_make(100);
    (void)failure;
    for (; *value; value++)
        if (!ascii_is_space(*value)) buf_append_char(&list, *value);
    if (!smtp_parse_notify(buf_str(&list), &options->letter.notify))
        warn("-N takes never, or of success,failure,delay: ignored");
    buf_free(&list);
    return EX_OK;
}

static int on_old_option(struct options *options, const char *value, struct failure *failure) {
    if (value[0] == 'i') return on_dot(options, value, failure);
    return EX_OK; /* -om, -o7, -oem and the like change nothing here */
}

static int on_long_option(struct options *options, const char *value, struct failure *failure) {
    if (str_equal(str_from(value), STR("smtputf8=yes"))) options->letter.smtputf8 = true;
    if (str_equal(str_from(value), STR("requiretls=yes"))) options->letter.require_tls = true;
    (void)failure;
    return EX_OK;
}

static int on_queue(struct options *options, const char *value, struct failure *failure) {
    /* An interval, as in "-bd -q30m": the queue manager has its own. */
    if (ascii_is_digit(value[0]) && options->mode == MODE_DAEMON) return EX_OK;
    options->mode = MODE_FLUSH;
    if (value[0] == 'I')
        options->flush_id = value + 1;
    else if (value[0] == 'R')
        options->flush_site = value + 1;
    else if (value[0] == 'S')
        return usage(failure, "flushing by sender is not there: -q", value);
    return EX_OK;
}

/* -XV+= wants a sender of its own for each recipient; other -X name a log of old. */
static int on_verp(struct options *options, const char *value, struct failure *failure) {
    (void)options;
    if (value[0] != 'V' || (value[1] != '\0' && strlen(value) != 3)) return EX_OK;
    failure_set(failure, "-XV: senders with the recipient in them (VERP) are not there");
    return EX_UNAVAILABLE;
}

static int on_return(struct options *options, const char *value, struct failure *failure) {
    enum smtp_ret ret;
    (void)failure;
    if (smtp_parse_ret(str_from(value), &ret))
        options->letter.return_content = ret == SMTP_RET_FULL ? 1 : 2;
    else
        warn("-R takes full or hdrs: ignored");
    return EX_OK;
}

static int on_extract(struct options *options, const char *value, struct failure *failure) {
    (void)value, (void)failure;
    options->letter.extract_recipients = true;
    return EX_OK;
}

static int on_envelope_id(struct options *options, const char *value, struct failure *failure) {
    struct buf decoded = buf_make(100);
    if (!str_is_printable(str_from(value))) return usage(failure, "-V takes an envelope ID, not", value);
    if (!xtext_decode(&decoded, str_from(value))) { /* as people write it, then */
        buf_clear(&decoded);
        buf_append(&decoded, str_from(value));
    }
    bool good = arena_copy(options->letter.arena, buf_str(&decoded), &options->letter.envelope_id);
    buf_free(&decoded);
    return good ? EX_OK : EX_OSERR;
}

static int on_verbose(struct options *options, const char *value, struct failure *failure) {
    (void)value, (void)failure;
    if (options->letter.report == REPORT_NONE) options->letter.report = REPORT_DELIVERY;
    return EX_OK;
}

enum value_rule { NO_VALUE, VALUE, VALUE_ATTACHED }; /* attached: only within the same word, perhaps empty */

static const struct option_row {
    char letter;
    enum value_rule value;
    option_handler *handler;
    const char *meaning;
} option_table[] = {
    {'A', VALUE_ATTACHED, on_ignored, "-Ac, -Am: ignored"},
    {'B', VALUE, on_body, "body type: 7BIT or 8BITMIME"},
    {'C', VALUE, on_directory, "configuration directory"},
    {'F', VALUE, on_full_name, "full name for a From that is missing"},
    {'G', NO_VALUE, on_ignored, "gateway submission: ignored"},
    {'I', NO_VALUE, on_aliases, "rebuild the aliases"},
    {'L', VALUE, on_ignored, "log label: ignored"},
    {'N', VALUE, on_notify, "delivery status notification: never, or success,failure,delay"},
    {'O', VALUE, on_long_option, "smtputf8=yes, requiretls=yes; others are ignored"},
    {'R', VALUE, on_return, "what a notice returns: full or hdrs"},
    {'U', NO_VALUE, on_ignored, "initial submission: ignored"},
    {'V', VALUE, on_envelope_id, "envelope ID for notices"},
    {'X', VALUE, on_verp, "-XV: not there; log of the traffic: ignored"},
    {'a', NO_VALUE, on_ignored, "of old: ignored"},
    {'b', VALUE, on_mode,
     "-bm send, -bv report what would become of it, -bs SMTP on standard input, -bp list the queue, -bi rebuild the "
     "aliases"},
    {'c', NO_VALUE, on_ignored, "of old: ignored"},
    {'e', VALUE, on_ignored, "what to do about errors: ignored"},
    {'f', VALUE, on_sender, "envelope sender"},
    {'h', VALUE, on_ignored, "hop count: ignored"},
    {'i', NO_VALUE, on_dot, "a lone dot does not end the message"},
    {'m', NO_VALUE, on_ignored, "send to me too: always so"},
    {'n', NO_VALUE, on_ignored, "no aliases: ignored"},
    {'o', VALUE, on_old_option, "-oi as -i; others are ignored"},
    {'p', VALUE, on_ignored, "of old: ignored"},
    {'q', VALUE_ATTACHED, on_queue, "flush: all, -qIqueueid, -qRsite"},
    {'r', VALUE, on_sender, "as -f"},
    {'t', NO_VALUE, on_extract, "recipients from To, Cc and Bcc"},
    {'v', NO_VALUE, on_verbose, "a report of the first delivery attempt"},
    {'x', NO_VALUE, on_ignored, "of old: ignored"},
};

static const struct option_row *find_option(char letter) {
    for (size_t i = 0; i < ARRAY_LENGTH(option_table); i++)
        if (option_table[i].letter == letter) return &option_table[i];
    return NULL;
}

/* One word of options, "-tioX value". *at may move to the next word for a value. */
static int read_word(struct options *options, int count, char **words, int *at, struct failure *failure) {
    for (const char *letter = words[*at] + 1; *letter; letter++) {
        const struct option_row *row = find_option(*letter);
        const char one[2] = {*letter, '\0'};
        if (!row) return usage(failure, "unknown option", one);
        if (row->value == NO_VALUE) {
            int status = row->handler(options, "", failure);
            if (status != EX_OK) return status;
            continue;
        }
        const char *value = letter + 1;
        if (*value == '\0' && row->value == VALUE) {
            if (++*at >= count) return usage(failure, "a value is missing after option", one);
            value = words[*at];
        }
        return row->handler(options, value, failure);
    }
    return EX_OK;
}

static int read_options(struct options *options, int count, char **words, struct failure *failure) {
    int at = 1;
    for (; at < count; at++) {
        if (words[at][0] != '-' || words[at][1] == '\0') break;
        if (str_equal(str_from(words[at]), STR("--"))) {
            at++;
            break;
        }
        int status = read_word(options, count, words, &at, failure);
        if (status != EX_OK) return status;
    }
    options->recipients = (const char **)(words + at);
    options->recipient_count = count - at;
    return EX_OK;
}

/* ---- modes */

static void take_full_name(struct letter *letter, const char *name) {
    struct str first = str_from(name), rest;
    (void)(str_cut(first, ',', &first, &rest));
    if (!arena_copy(letter->arena, str_slice(first, 0, 200), &letter->full_name)) letter->full_name = STR_EMPTY;
}

/* Without -f the sender is the caller, and so is the author where there is no From. pickup sees the uid in any case;
 * its root has no account file. */
static void complete_sender(struct letter *letter) {
    const struct passwd *account = letter->null_sender ? NULL : getpwuid(getuid());
    const char *name = getenv("NAME");
    if (account && letter->sender.length == 0 &&
        !arena_copy(letter->arena, str_from(account->pw_name), &letter->sender))
        return;
    if (letter->full_name.length == 0 && name && name[0])
        take_full_name(letter, name);
    else if (letter->full_name.length == 0 && account && account->pw_gecos)
        take_full_name(letter, account->pw_gecos);
}

static void announce_report(const struct letter *letter) {
    if (letter->report == REPORT_NONE || letter->sender.length == 0) return;
    printf("Mail Delivery Status Report will be mailed to <%.*s>.\n", STR_ARGS(letter->sender));
}

static int send_message(struct options *options, struct failure *failure) {
    struct letter *letter = &options->letter;
    complete_sender(letter);
    int64_t limit = letter->config->message_size_limit;
    letter->content = buf_make(limit > 0 ? (size_t)limit : (size_t)1 << 30);
    int status = EX_OK;
    if (!letter->extract_recipients && options->recipient_count == 0) {
        failure_set(failure, "Recipient addresses must be specified on the command line or via the -t option");
        return EX_USAGE;
    }
    bool probe = letter->report == REPORT_VERIFY;
    if (probe && letter->extract_recipients) {
        failure_set(failure, "-t option cannot be used with -bv");
        return EX_USAGE;
    }
    for (int i = 0; status == EX_OK && i < options->recipient_count; i++)
        status = letter_add_recipients(letter, str_from(options->recipients[i]), failure);
    if (status == EX_OK) status = probe ? letter_write_probe(letter, failure) : letter_read(letter, failure);
    if (status == EX_OK && letter->extract_recipients) status = letter_extract_recipients(letter, failure);
    if (status == EX_OK && letter->extract_recipients && letter->recipient_count == 0) {
        failure_set(failure, "No recipient addresses found in message header");
        return EX_USAGE;
    }
    if (status == EX_OK) status = letter_submit(letter, failure);
    if (status == EX_OK) announce_report(letter);
    return status;
}

/* Becomes another of tern's commands. */
static int become(const struct config *config, const char *directory, const char *program, const char *option,
                  const char *value, struct failure *failure) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", config->command_directory.data, program);
    char *arguments[8];
    int count = 0;
    const char *const words[] = {program, "-c", directory, option, value};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (words[i]) arguments[count++] = memory_copy_string(str_from(words[i]));
    arguments[count] = NULL;
    execv(path, arguments);
    failure_set(failure, "cannot run %s", path);
    return EX_UNAVAILABLE;
}

/* What a mode is called, if it is one in which recipients mean a mistake. */
static const char *mode_without_recipients(enum mode mode) {
    switch (mode) {
    case MODE_SEND:
        return NULL;
    case MODE_SMTP:
        return "stand-alone mode";
    case MODE_LIST:
        return "display queue mode";
    case MODE_ALIASES:
        return "alias initialization mode";
    case MODE_FLUSH:
        return "flush queue mode";
    case MODE_DAEMON:
        return "daemon mode";
    }
    return NULL;
}

static int run(struct options *options, struct failure *failure) {
    const struct config *config = options->letter.config;
    const char *alone = mode_without_recipients(options->mode);
    if (alone && options->recipient_count > 0) {
        failure_set(failure, "%s requires no recipient", alone);
        return EX_USAGE;
    }
    const char *directory = options->directory ? options->directory : config_default_directory();
    switch (options->mode) {
    case MODE_SEND:
        return send_message(options, failure);
    case MODE_SMTP:
        return sendmail_smtp(config);
    case MODE_LIST:
        return become(config, directory, "ternqueue", "-p", NULL, failure);
    case MODE_ALIASES:
        return become(config, directory, "newaliases", NULL, NULL, failure);
    case MODE_FLUSH:
        if (options->flush_id) return become(config, directory, "ternqueue", "-i", options->flush_id, failure);
        if (options->flush_site) return become(config, directory, "ternqueue", "-s", options->flush_site, failure);
        return become(config, directory, "ternqueue", "-f", NULL, failure);
    case MODE_DAEMON:
        return become(config, directory, "tern", "start", NULL, failure);
    }
    return EX_SOFTWARE;
}

static enum mode mode_of_name(const char *program) {
    struct str name = str_from(program);
    size_t slash = str_find_last(name, '/');
    if (slash != STR_NONE) name = str_from_offset(name, slash + 1);
    if (str_equal(name, STR("mailq"))) return MODE_LIST;
    if (str_equal(name, STR("newaliases"))) return MODE_ALIASES;
    return MODE_SEND;
}

int main(int argument_count, char **arguments) {
    struct failure failure = {0};
    struct options options = {.mode = mode_of_name(arguments[0])};
    struct config *config = NULL;
    options.letter.arena = arena_create(0);
    options.letter.body = 1; /* 8-bit content is what local programs write today */
    int status = read_options(&options, argument_count, arguments, &failure);
    if (status == EX_OK) {
        const char *directory = options.directory ? options.directory : config_default_directory();
        if (config_load(directory, NULL, 0, SCOPE_COMMANDS, &config, NULL, &failure)) {
            options.letter.config = config;
            status = run(&options, &failure);
        } else {
            status = EX_CONFIG;
        }
    }
    if (status != EX_OK) fprintf(stderr, "sendmail: fatal: %s\n", failure.text);
    buf_free(&options.letter.content);
    buf_free(&options.letter.rows);
    arena_destroy(&options.letter.arena);
    config_free(&config);
    return status;
}
