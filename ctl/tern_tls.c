/* tern tls: keys and certificates of the SMTP server, and TLS switched on, in the manner of postfix tls.
 *
 *   all-default-client, all-default-server   exit status 0 if main.cf says nothing of TLS
 *   enable-client                            TLS to servers that offer it
 *   enable-server                            a new key, a certificate that it signs itself, and TLS for clients
 *   new-server-key, new-server-cert          the same without putting them to use
 *   deploy-server-cert                       puts them to use
 *   output-server-csr, output-server-tlsa    for an authority, and for DNS
 *
 * Keys and certificates are files of the configuration directory with the date in their names; none is ever
 * overwritten. */
#include "tern.h"

#include "certificate.h"
#include "config_edit.h"
#include "main_cf.h"
#include "material.h"
#include "memory.h"
#include "tls_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FILE_LIMIT ((size_t)1 << 20)
#define EXIT_USAGE 64
#define HOSTS_MOST 100

/* What the options and words of a subcommand say. */
struct request {
    const struct tern *tern;
    struct config *config;
    const char *algorithm, *size, *host, *key;
    const char *words[HOSTS_MOST]; /* hosts or files */
    size_t word_count;
};

static bool complain(const struct failure *failure) {
    tern_complain("%s", failure->text);
    return false;
}

static struct certificate_hosts hosts_of(const struct request *request, const char *const *fallback) {
    struct certificate_hosts named = {request->words, request->word_count};
    struct certificate_hosts own = {fallback, 1};
    return named.count > 0 ? named : own;
}

/* ---- main.cf */

static bool is_client_s(struct str name) {
    return str_starts(name, STR("smtp_tls_")) || str_equal(name, STR("smtp_use_tls")) ||
           str_equal(name, STR("smtp_enforce_tls"));
}

static bool is_server_s(struct str name) {
    return str_starts(name, STR("smtpd_tls_")) || str_equal(name, STR("smtpd_use_tls")) ||
           str_equal(name, STR("smtpd_enforce_tls")) || str_equal(name, STR("tls_server_sni_maps"));
}

static void main_cf_path(const struct request *request, struct buf *path) {
    buf_printf(path, "%s/main.cf", request->tern->config_directory);
}

/* Whether main.cf sets nothing of that kind. */
static bool is_untouched(const struct request *request, bool (*is_one)(struct str name)) {
    struct buf path = buf_make(4096), text = buf_make(0);
    struct main_cf *file = NULL;
    struct failure failure = {0};
    main_cf_path(request, &path);
    bool untouched = config_read_file(buf_string(&path), CONFIG_FILE_MAX, &text, &failure) &&
                     main_cf_parse(buf_str(&text), buf_string(&path), &file, &failure);
    if (!untouched) complain(&failure);
    for (size_t i = 0; file != NULL && i < file->count; i++)
        untouched = untouched && !is_one(file->settings[i].name);
    main_cf_free(&file);
    buf_free(&text);
    buf_free(&path);
    return untouched;
}

struct setting {
    struct str name, value;
};

static bool set_parameters(const struct request *request, const struct setting *settings, size_t count) {
    struct buf path = buf_make(4096), text = buf_make(0);
    struct failure failure = {0};
    main_cf_path(request, &path);
    bool good = config_read_file(buf_string(&path), CONFIG_FILE_MAX, &text, &failure);
    for (size_t i = 0; good && i < count; i++) {
        struct buf edited = buf_make(0);
        size_t found;
        good = config_edit_setting(buf_str(&text), CONFIG_EDIT_SET, settings[i].name, settings[i].value, &edited,
                                   &found, &failure);
        buf_free(&text);
        text = edited;
    }
    good = good && config_edit_replace(buf_string(&path), buf_str(&text), &failure);
    if (!good) complain(&failure);
    buf_free(&text);
    buf_free(&path);
    return good;
}

/* ---- keys and certificates on disk */

static bool read_identities(struct tls_identities *list, const char *path, struct failure *failure) {
    struct buf text = buf_make(FILE_LIMIT);
    bool good = config_read_file(path, FILE_LIMIT, &text, failure) &&
                (tls_identities_read(list, buf_str(&text), failure) || failure_prefix(failure, "%s", path));
    buf_free_secret(&text);
    return good;
}

#define FILES_MOST 64

/* The server's certificates of now, with the files that they stand in. */
struct deployed {
    struct tls_identities identities;
    char *files[FILES_MOST];
    size_t file_count;
};

static bool add_deployed(struct deployed *deployed, struct str path, struct failure *failure) {
    if (path.length == 0) return true;
    if (deployed->file_count == FILES_MOST) return failure_set(failure, "more than %d files", FILES_MOST);
    for (size_t i = 0; i < deployed->file_count; i++)
        if (str_equal(path, str_from(deployed->files[i]))) return true;
    deployed->identities.source = deployed->file_count;
    deployed->files[deployed->file_count++] = memory_copy_string(path);
    return read_identities(&deployed->identities, deployed->files[deployed->file_count - 1], failure);
}

static void deployed_free(struct deployed *deployed) {
    tls_identities_free(&deployed->identities);
    for (size_t i = 0; i < deployed->file_count; i++)
        MEMORY_FREE(deployed->files[i]);
    deployed->file_count = 0;
}

static bool deployed_read(const struct config *config, struct deployed *deployed, struct failure *failure) {
    struct material_parameters parameters = material_parameters_of(config, 0);
    struct str rest = parameters.chain_files, path;
    bool good = true;
    while (good && material_next_file(&rest, &path))
        good = add_deployed(deployed, path, failure);
    for (size_t i = 0; good && parameters.chain_files.length == 0 && i < ARRAY_LENGTH(parameters.pairs); i++) {
        bool any = parameters.pairs[i].certificate.length > 0;
        good = !any || (add_deployed(deployed, parameters.pairs[i].certificate, failure) &&
                        add_deployed(deployed, parameters.pairs[i].key, failure));
    }
    return good && (deployed->file_count == 0 || tls_identities_finish(&deployed->identities, NULL, failure));
}

static bool write_new(const char *path, const struct buf *text, mode_t mode, struct failure *failure) {
    int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file < 0) return failure_set_errno(failure, errno, "%s", path);
    bool good = write(file, buf_string(text), text->length) == (ssize_t)text->length && fsync(file) == 0;
    int reason = errno;
    close(file);
    return good || failure_set_errno(failure, reason, "%s", path);
}

/* The names of a new pair: by the date, so that they stay apart. */
struct pair {
    char key[PATH_MAX], certificate[PATH_MAX];
};

static void name_pair(const struct request *request, struct pair *pair) {
    char date[40];
    time_t now = time(NULL);
    struct tm parts;
    if (!localtime_r(&now, &parts) || strftime(date, sizeof date, "%Y%m%d-%H%M%S", &parts) == 0) date[0] = '\0';
    snprintf(pair->key, sizeof pair->key, "%s/key-%s.pem", request->tern->config_directory, date);
    snprintf(pair->certificate, sizeof pair->certificate, "%s/cert-%s.pem", request->tern->config_directory, date);
}

/* ---- TLSA records */

/* RFC 7672 section 3.1.1: DANE-EE(3), SPKI(1), SHA2-256(1) is what a server should publish. */
static void print_record(const char *host, const char *kind, const uint8_t name[TLS_KEY_NAME_SIZE], const char *file) {
    printf("; %s key of %s\n_25._tcp.%s. IN TLSA 3 1 1 ", kind, file, host);
    for (size_t i = 0; i < TLS_KEY_NAME_SIZE; i++)
        printf("%02x", name[i]);
    putchar('\n');
}

/* The keys of a list, which need not have certificates. */
static bool print_records(const struct tls_identities *list, char *const *files, const char *host) {
    for (size_t i = 0; i < list->count; i++) {
        const struct tls_identity *identity = &list->items[i];
        uint8_t name[TLS_KEY_NAME_SIZE];
        if (identity->key == NULL || !tls_key_name(identity->key, name)) continue;
        print_record(host, tls_identity_kind(identity), name, files[identity->key_source]);
    }
    return true;
}

static const char *record_host(const struct request *request) {
    return request->host != NULL ? request->host : request->config->myhostname.data;
}

static int run_tlsa(struct request *request) {
    struct deployed deployed = {0};
    struct failure failure = {0};
    bool good = true;
    for (size_t i = 0; good && i < request->word_count; i++)
        good = add_deployed(&deployed, str_from(request->words[i]), &failure);
    if (request->word_count == 0) good = deployed_read(request->config, &deployed, &failure);
    if (good && deployed.identities.count == 0)
        good = failure_set(&failure, "no certificate is in use: name a key file");
    good = good ? print_records(&deployed.identities, deployed.files, record_host(request)) : complain(&failure);
    deployed_free(&deployed);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- requests */

static int run_csr(struct request *request) {
    struct deployed deployed = {0};
    struct failure failure = {0};
    struct buf text = buf_make(0);
    const char *own = request->config->myhostname.data;
    bool good = request->key != NULL ? add_deployed(&deployed, str_from(request->key), &failure)
                                     : deployed_read(request->config, &deployed, &failure);
    if (good && deployed.identities.count == 0)
        good = failure_set(&failure, "no certificate is in use: name a key with -k");
    if (good && deployed.identities.items[0].key == NULL)
        good = failure_set(&failure, "%s has no private key", request->key);
    good = good && certificate_request(deployed.identities.items[0].key, hosts_of(request, &own), &text, &failure);
    if (good)
        fwrite(buf_string(&text), 1, text.length, stdout);
    else
        complain(&failure);
    buf_free(&text);
    deployed_free(&deployed);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- putting to use */

static void append_file(struct buf *files, const char *path) {
    buf_printf(files, "%s%s", files->length > 0 ? ", " : "", path);
}

/* The new pair, and what is in use with keys of other kinds. */
static bool chain_files(const struct request *request, const char *certificate, const char *key, struct buf *files,
                        struct failure *failure) {
    struct deployed deployed = {0};
    struct tls_identities new = {0};
    bool good = read_identities(&new, key, failure) &&
                (strcmp(key, certificate) == 0 || read_identities(&new, certificate, failure)) &&
                tls_identities_finish(&new, NULL, failure);
    if (good) {
        append_file(files, key);
        if (strcmp(key, certificate) != 0) append_file(files, certificate);
    }
    /* What is in use may be what is to be mended. */
    struct failure ignored = {0};
    bool others = good && deployed_read(request->config, &deployed, &ignored);
    for (size_t i = 0; others && i < deployed.identities.count; i++) {
        const struct tls_identity *identity = &deployed.identities.items[i];
        if (strcmp(tls_identity_kind(identity), tls_identity_kind(&new.items[0])) == 0) continue;
        append_file(files, deployed.files[identity->key_source]);
        if (identity->certificate_source != identity->key_source)
            append_file(files, deployed.files[identity->certificate_source]);
    }
    tls_identities_free(&new);
    deployed_free(&deployed);
    return good;
}

static bool deploy(const struct request *request, const char *certificate, const char *key, bool enable) {
    struct buf files = buf_make(0);
    struct failure failure = {0};
    char whole_certificate[PATH_MAX], whole_key[PATH_MAX];
    bool good =
        (realpath(certificate, whole_certificate) != NULL || failure_set_errno(&failure, errno, "%s", certificate)) &&
        (realpath(key, whole_key) != NULL || failure_set_errno(&failure, errno, "%s", key)) &&
        chain_files(request, whole_certificate, whole_key, &files, &failure);
    if (!good) complain(&failure);
    const struct setting settings[] = {{STR("smtpd_tls_chain_files"), buf_str(&files)},
                                       {STR("smtpd_tls_security_level"), STR("may")}};
    good = good && set_parameters(request, settings, enable ? 2 : 1);
    buf_free(&files);
    return good;
}

static int run_deploy(struct request *request) {
    if (request->word_count != 2) {
        tern_complain("usage: tern tls deploy-server-cert CERTIFICATE KEY");
        return EXIT_USAGE;
    }
    if (!deploy(request, request->words[0], request->words[1], false)) return EXIT_FAILURE;
    puts("Set in main.cf; tern reload takes it up.");
    return EXIT_SUCCESS;
}

/* ---- new ones */

static bool write_pair(EVP_PKEY *key, bool with_key, const struct request *request, const struct pair *pair,
                       struct failure *failure) {
    struct buf key_text = buf_make(0), certificate = buf_make(0);
    const char *own = request->config->myhostname.data;
    bool good = certificate_self_signed(key, hosts_of(request, &own), &certificate, failure) &&
                certificate_key_text(key, &key_text, failure) &&
                (!with_key || write_new(pair->key, &key_text, 0600, failure)) &&
                write_new(pair->certificate, &certificate, 0644, failure);
    buf_free_secret(&key_text);
    buf_free(&certificate);
    return good;
}

static bool make_pair(const struct request *request, struct pair *pair) {
    struct failure failure = {0};
    name_pair(request, pair);
    EVP_PKEY *key = certificate_key(request->algorithm, request->size, &failure);
    bool good = key != NULL && write_pair(key, true, request, pair, &failure);
    EVP_PKEY_free(key);
    return good || complain(&failure);
}

static void say_pair(const struct pair *pair) {
    printf("Key: %s\nCertificate, signed by the key itself: %s\n\n"
           "To put them to use:            tern tls deploy-server-cert %s %s && tern reload\n"
           "To have an authority sign:     tern tls output-server-csr -k %s\n"
           "For DANE, in DNS before that:  tern tls output-server-tlsa %s\n",
           pair->key, pair->certificate, pair->certificate, pair->key, pair->key, pair->key);
}

static int run_new_key(struct request *request) {
    struct pair pair;
    if (!make_pair(request, &pair)) return EXIT_FAILURE;
    say_pair(&pair);
    return EXIT_SUCCESS;
}

/* A new certificate for the key in use: its TLSA record stays as it is. */
static int run_new_certificate(struct request *request) {
    struct deployed deployed = {0};
    struct failure failure = {0};
    struct pair pair;
    name_pair(request, &pair);
    bool good = deployed_read(request->config, &deployed, &failure);
    size_t chosen = 0;
    while (good && request->algorithm != NULL && chosen < deployed.identities.count &&
           !str_equal_nocase(str_from(tls_identity_kind(&deployed.identities.items[chosen])),
                             str_from(request->algorithm)))
        chosen++;
    if (good && chosen == deployed.identities.count)
        good = failure_set(&failure, "no such key is in use: tern tls new-server-key makes one");
    good = good && write_pair(deployed.identities.items[chosen].key, false, request, &pair, &failure);
    if (good) {
        snprintf(pair.key, sizeof pair.key, "%s", deployed.files[deployed.identities.items[chosen].key_source]);
        say_pair(&pair);
    } else {
        complain(&failure);
    }
    deployed_free(&deployed);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- switching on */

static int run_enable_server(struct request *request) {
    struct pair pair;
    if (!is_untouched(request, is_server_s)) {
        tern_complain("main.cf has settings for the TLS of the SMTP server already: nothing is changed");
        return EXIT_FAILURE;
    }
    if (!make_pair(request, &pair) || !deploy(request, pair.certificate, pair.key, true)) return EXIT_FAILURE;
    printf("Key: %s\nCertificate, signed by the key itself: %s\n"
           "TLS for clients is set in main.cf; tern reload takes it up.\n",
           pair.key, pair.certificate);
    return EXIT_SUCCESS;
}

static int run_enable_client(struct request *request) {
    const struct setting level = {STR("smtp_tls_security_level"), STR("may")};
    if (!is_untouched(request, is_client_s)) {
        tern_complain("main.cf has settings for the TLS of the SMTP client already: nothing is changed");
        return EXIT_FAILURE;
    }
    if (!set_parameters(request, &level, 1)) return EXIT_FAILURE;
    puts("TLS to servers that offer it is set in main.cf; tern reload takes it up.");
    return EXIT_SUCCESS;
}

static int run_default_client(struct request *request) {
    return is_untouched(request, is_client_s) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_default_server(struct request *request) {
    return is_untouched(request, is_server_s) ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- the command line */

static const struct command {
    const char *name;
    int (*run)(struct request *request);
    const char *options, *usage;
    const char *algorithm; /* without -a */
} commands[] = {
    {"all-default-client", run_default_client, "", "", NULL},
    {"all-default-server", run_default_server, "", "", NULL},
    {"enable-client", run_enable_client, "r:", "[-r SOURCE]", NULL},
    {"enable-server", run_enable_server, "r:a:b:", "[-r SOURCE] [-a ALGORITHM] [-b BITS] [HOST...]", "rsa"},
    {"new-server-key", run_new_key, "a:b:", "[-a ALGORITHM] [-b BITS] [HOST...]", "rsa"},
    {"new-server-cert", run_new_certificate, "a:b:", "[-a ALGORITHM] [-b BITS] [HOST...]", NULL},
    {"deploy-server-cert", run_deploy, "", "CERTIFICATE KEY", NULL},
    {"output-server-csr", run_csr, "k:", "[-k KEY] [HOST...]", NULL},
    {"output-server-tlsa", run_tlsa, "h:", "[-h HOST] [KEY...]", NULL},
};

static int usage(void) {
    for (size_t i = 0; i < ARRAY_LENGTH(commands); i++)
        fprintf(stderr, "%s tern tls %s%s%s\n", i == 0 ? "usage:" : "      ", commands[i].name,
                commands[i].usage[0] != '\0' ? " " : "", commands[i].usage);
    return EXIT_USAGE;
}

/* -r is Postfix's source of random bytes; the library asks the kernel. */
static bool read_arguments(const struct command *command, int count, char **arguments, struct request *request) {
    int option;
    optind = 0; /* from the start, after the command's own options */
    while ((option = getopt(count, arguments, command->options)) != -1) {
        if (option == 'a')
            request->algorithm = optarg;
        else if (option == 'b')
            request->size = optarg;
        else if (option == 'h')
            request->host = optarg;
        else if (option == 'k')
            request->key = optarg;
        else if (option != 'r')
            return false;
    }
    for (int i = optind; i < count; i++) {
        if (request->word_count == HOSTS_MOST) return false;
        request->words[request->word_count++] = arguments[i];
    }
    return request->word_count == 0 || strchr(command->usage, '.') != NULL || command->run == run_deploy;
}

int tern_tls(const struct tern *tern) {
    const struct command *command = NULL;
    for (size_t i = 0; tern->argument_count > 0 && i < ARRAY_LENGTH(commands); i++)
        if (strcmp(commands[i].name, tern->arguments[0]) == 0) command = &commands[i];
    if (command == NULL) return usage();
    struct request request = {.tern = tern, .algorithm = command->algorithm};
    if (!read_arguments(command, tern->argument_count, tern->arguments, &request)) return usage();
    request.config = tern_load(tern);
    if (request.config == NULL) return EXIT_FAILURE;
    int status = command->run(&request);
    config_free(&request.config);
    return status;
}
