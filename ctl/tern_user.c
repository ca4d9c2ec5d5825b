/* tern user: mailbox users of an instance that tern init made, and their passwords.
 *
 * Two files in the configuration directory: users (texthash: address to mailbox)
 * and users.passwd (a passwd-file, which auth reads: mode 0640 and auth's group). Both are
 * replaced whole, under a lock; what else is in them stays. */
#include "tern.h"

#include "memory.h"
#include "password_file.h"
#include "password_hash.h"
#include "sasl_prepare.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <openssl/rand.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_LIMIT 500
#define NAME_LIMIT 255
#define SCHEME "CRYPT"     /* yescrypt */
#define QUOTA_STORAGE  "userdb_quota_storage" /* extra fields of users.passwd */
#define QUOTA_MESSAGES "userdb_quota_messages"
#define APP_PASSWORD_LETTERS 20 /* of 32 kinds: 100 bits */

struct user_files {
    struct buf map_path;
    struct buf password_path;
    struct buf map;
    struct buf passwords;
    int lock; /* on the directory, while both are changed */
    gid_t group; /* auth's, who reads the passwords */
};

/* ---- names */

static bool is_name_character(char c) { return ascii_is_alnum(c) || c == '.' || c == '-' || c == '_' || c == '+' || c == '='; }

static bool is_part(struct str part) {
    if (part.length == 0 || part.data[0] == '.' || part.data[0] == '-')
        return false;
    for (size_t i = 0; i < part.length; i++)
        if (!is_name_character(part.data[i]))
            return false;
    return str_find_str(part, STR("..")) == STR_NONE;
}

/* The name is also a directory name, so it keeps to a narrow alphabet; in lower case. */
static bool read_address(const char *argument, char *address, size_t size, struct str *user, struct str *domain) {
    size_t length = strlen(argument);
    if (length == 0 || length >= size || length > NAME_LIMIT)
        return false;
    for (size_t i = 0; i <= length; i++)
        address[i] = ascii_lower(argument[i]);
    return str_cut(str_make(address, length), '@', user, domain) && is_part(*user) && is_part(*domain);
}

/* ---- lines */

/* The key of a line: what stands before white space or a colon; empty for comments. */
static struct str line_key(struct str line) {
    size_t end = 0;
    if (line.length == 0 || line.data[0] == '#' || ascii_is_space(line.data[0]))
        return STR_EMPTY;
    while (end < line.length && !ascii_is_space(line.data[end]) && line.data[end] != ':')
        end++;
    return str_slice(line, 0, end);
}

static bool next_line(struct str *rest, struct str *line) {
    if (rest->length == 0)
        return false;
    struct str after;
    if (!str_cut(*rest, '\n', line, &after)) {
        *line = *rest;
        after = STR_EMPTY;
    }
    *rest = after;
    return true;
}

static bool has_key(struct str content, struct str key) {
    struct str line;
    while (next_line(&content, &line))
        if (str_equal_nocase(line_key(line), key))
            return true;
    return false;
}

/* Takes the lines of that key out; true if there was one. */
static bool remove_key(struct buf *content, struct str key) {
    struct buf kept = buf_make(0);
    struct str rest = buf_str(content);
    struct str line;
    bool found = false;
    while (next_line(&rest, &line)) {
        if (str_equal_nocase(line_key(line), key)) {
            found = true;
            continue;
        }
        buf_append(&kept, line);
        buf_append_char(&kept, '\n');
    }
    buf_free(content);
    *content = kept;
    return found;
}

/* ---- the two files */

static void close_files(struct user_files *files) {
    buf_free(&files->map_path);
    buf_free(&files->password_path);
    buf_free(&files->map);
    buf_free_secret(&files->passwords);
    if (files->lock >= 0)
        close(files->lock);
}

static bool open_files(const struct tern *tern, const struct config *config, struct user_files *files,
                       struct failure *failure) {
    uid_t ignored;
    *files = (struct user_files){.lock = -1};
    if (!accounts_find(config->mail_owner.data, "auth", &ignored, &files->group))
        return failure_set(failure, "nobody could read the passwords");
    buf_printf(&files->map_path, "%s/users", tern->config_directory);
    buf_printf(&files->password_path, "%s/users.passwd", tern->config_directory);
    files->lock = open(tern->config_directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (files->lock < 0 || flock(files->lock, LOCK_EX) < 0)
        return failure_set_errno(failure, errno, "%s", tern->config_directory);
    return files_read(buf_string(&files->map_path), &files->map, failure) &&
           files_read(buf_string(&files->password_path), &files->passwords, failure);
}

/* The password file first when a user comes, last when one goes: a mailbox never stands without a lock. */
static bool write_map(struct user_files *files, struct failure *failure) {
    return files_replace(buf_string(&files->map_path), buf_str(&files->map), 0644, failure);
}

static bool write_passwords(struct user_files *files, struct failure *failure) {
    return files_replace_for(buf_string(&files->password_path), buf_str(&files->passwords), files->group, failure);
}

/* ---- passwords */

bool user_read_password(char *password, size_t size, struct failure *failure) {
    struct termios saved;
    bool terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
    if (terminal) {
        struct termios silent = saved;
        silent.c_lflag &= ~(tcflag_t)ECHO;
        fputs("Password: ", stderr);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    char *line = fgets(password, (int)size, stdin);
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &saved);
        fputc('\n', stderr);
    }
    if (line == NULL)
        return failure_set(failure, "no password on standard input");
    size_t length = strcspn(password, "\r\n");
    if (password[length] == '\0' && length + 1 == size)
        return failure_set(failure, "the password is longer than %d bytes", PASSWORD_LIMIT);
    password[length] = '\0';
    return length > 0 || failure_set(failure, "the password is empty");
}

/* As it will be compared: prepared by RFC 4013, where it can be. */
static bool hash_password(const char *scheme, struct str password, struct buf *secret, struct failure *failure) {
    struct buf prepared = buf_make(SASL_PREPARE_MAX);
    struct str text = sasl_prepare(password, &prepared) ? buf_str(&prepared) : password;
    bool good = password_hash_make(str_from(scheme), text, secret, failure);
    buf_free_secret(&prepared);
    return good;
}

static bool set_password(struct buf *passwords, struct str address, const char *scheme, struct failure *failure) {
    char password[PASSWORD_LIMIT + 2];
    struct buf secret = buf_make(0);
    bool good = user_read_password(password, sizeof password, failure) &&
                hash_password(scheme, str_from(password), &secret, failure);
    if (good) password_file_set(passwords, address, buf_str(&secret));
    memory_wipe(password, sizeof password);
    buf_free_secret(&secret);
    return good;
}

/* ---- mailboxes */

/* The owner of new mailboxes: virtual_uid_maps = static:UID. */
static bool static_number(struct str tables, uint64_t *number) {
    struct str prefix = STR("static:");
    return str_starts(tables, prefix) && str_to_u64(str_from_offset(tables, prefix.length), UINT32_MAX - 1, number);
}

/* Without cur/: whoever opens it first, a session or a delivery, makes that, and mail_auto_folders. */
static bool make_mailbox(const struct config *config, struct str user, struct str domain, struct failure *failure) {
    static const char *const parts[] = {"", "/tmp", "/new"};
    struct buf path = buf_make(4096);
    uint64_t owner = geteuid();
    uint64_t group = getegid();
    if (!static_number(config->virtual_uid_maps, &owner) || !static_number(config->virtual_gid_maps, &group))
        return geteuid() != 0 || failure_set(failure, "virtual_uid_maps and virtual_gid_maps are not static:NUMBER; the "
                                                      "mailbox is left to the delivery agent");
    bool good = true;
    for (size_t i = 0; good && i < ARRAY_LENGTH(parts); i++) {
        buf_clear(&path);
        buf_printf(&path, "%.*s/%.*s/%.*s/Maildir%s", STR_ARGS(config->virtual_mailbox_base), STR_ARGS(domain),
                   STR_ARGS(user), parts[i]);
        good = files_make_path(buf_string(&path), (uid_t)owner, (gid_t)group, 0700, failure);
    }
    buf_free(&path);
    return good;
}

/* ---- the subcommands */

static bool has_user(const struct user_files *files, struct str address) {
    struct str line;
    return has_key(buf_str(&files->map), address) || password_file_find(buf_str(&files->passwords), address, &line);
}

static bool no_user(struct str address, struct failure *failure) {
    return failure_set(failure, "no user %.*s", STR_ARGS(address));
}

static bool user_add(const struct config *config, struct user_files *files, struct str address, const char *scheme,
                     struct failure *failure) {
    struct str user, domain;
    if (has_user(files, address) || !str_cut(address, '@', &user, &domain))
        return failure_set(failure, "%.*s exists already", STR_ARGS(address));
    if (!set_password(&files->passwords, address, scheme, failure) || !make_mailbox(config, user, domain, failure))
        return false;
    buf_printf(&files->map, "%.*s %.*s/%.*s/Maildir/\n", STR_ARGS(address), STR_ARGS(domain), STR_ARGS(user));
    return write_passwords(files, failure) && write_map(files, failure);
}

static bool user_delete(struct user_files *files, struct str address, struct failure *failure) {
    bool mapped = remove_key(&files->map, address);
    bool known = password_file_remove(&files->passwords, address);
    if (!mapped && !known) return no_user(address, failure);
    return write_map(files, failure) && write_passwords(files, failure);
}

static bool user_password(struct user_files *files, struct str address, const char *scheme, struct failure *failure) {
    if (!has_user(files, address)) return no_user(address, failure);
    return set_password(&files->passwords, address, scheme, failure) && write_passwords(files, failure);
}

static json_t *text_of(struct str text) {
    json_t *value = json_stringn(text.data, text.length);
    return value ? value : json_null(); /* no UTF-8 */
}

static void list_number(json_t *row, struct str line, const char *name, const char *field) {
    struct str value;
    uint64_t number;
    if (password_file_field(line, str_from(field), &value) && str_to_u64(value, INT64_MAX, &number))
        json_object_set_new(row, name, json_integer((json_int_t)number));
}

/* map: the user's line in users; password: that in users.passwd; empty where there is none. */
static void list_user(struct str user, struct str map, struct str password, json_t *array) {
    struct str path, label;
    size_t offset = 0;
    if (!array) {
        printf("%.*s\n", STR_ARGS(user));
        return;
    }
    json_t *row = json_object(), *labels = json_array();
    path = str_trim(str_from_offset(map, map.length ? user.length : 0));
    json_object_set_new(row, "user", text_of(user));
    json_object_set_new(row, "mailbox", path.length ? text_of(path) : json_null());
    json_object_set_new(row, "password", json_boolean(password.length > 0));
    while (password_file_next_app(password, &offset, &label))
        json_array_append_new(labels, text_of(label));
    json_object_set_new(row, "app_passwords", labels);
    list_number(row, password, "quota_storage", QUOTA_STORAGE);
    list_number(row, password, "quota_messages", QUOTA_MESSAGES);
    json_array_append_new(array, row);
}

/* Those of users first, then whoever has only a password. */
static void user_list(const struct user_files *files, json_t *array) {
    struct str rest = buf_str(&files->map), line, password;
    while (next_line(&rest, &line)) {
        struct str key = line_key(line);
        if (key.length == 0) continue;
        if (!password_file_find(buf_str(&files->passwords), key, &password)) password = STR_EMPTY;
        list_user(key, line, password, array);
    }
    rest = buf_str(&files->passwords);
    while (next_line(&rest, &line)) {
        struct str key = line_key(line);
        if (key.length > 0 && !has_key(buf_str(&files->map), key)) list_user(key, STR_EMPTY, line, array);
    }
}

/* ---- quotas of single accounts */

/* A number, perhaps with K, M or G behind it; "none" is an empty value: what main.cf says. */
static bool read_limit(struct str text, bool octets, char value[24]) {
    static const char letters[] = "KMG";
    unsigned shift = 0;
    uint64_t number;
    value[0] = '\0';
    if (str_equal(text, STR("none"))) return true;
    const char *letter = octets && text.length > 1 ? strchr(letters, ascii_upper(text.data[text.length - 1])) : NULL;
    if (letter && *letter) {
        shift = 10 * (unsigned)(letter - letters + 1);
        text.length--;
    }
    if (!str_to_u64(text, (uint64_t)INT64_MAX >> shift, &number)) return false;
    number <<= shift;
    snprintf(value, 24, "%llu", (unsigned long long)number);
    return true;
}

static bool set_limit(struct user_files *files, struct str address, struct str word, struct failure *failure) {
    struct str name, text, ignored, line;
    char value[24];
    bool octets = str_starts(word, STR("storage="));
    if (!str_cut(word, '=', &name, &text) || (!octets && !str_equal(name, STR("messages"))) ||
        !read_limit(text, octets, value))
        return failure_set(failure, "%.*s: storage=OCTETS (with K, M or G), messages=NUMBER, or none for the number",
                           STR_ARGS(word));
    struct str field = str_from(octets ? QUOTA_STORAGE : QUOTA_MESSAGES);
    if (!password_file_find(buf_str(&files->passwords), address, &line)) return no_user(address, failure);
    if (value[0] == '\0' && !password_file_field(line, field, &ignored)) return true;
    return password_file_set_field(&files->passwords, address, field, str_from(value)) || no_user(address, failure);
}

static bool user_set_quota(struct user_files *files, struct str address, char *const *words, int count,
                           struct failure *failure) {
    for (int i = 0; i < count; i++)
        if (!set_limit(files, address, str_from(words[i]), failure)) return false;
    return write_passwords(files, failure);
}

/* ---- app passwords */

/* Made here, since nobody has to remember it; letters that are not mistaken for others. */
static bool make_app_password(struct buf *password, struct failure *failure) {
    static const char letters[] = "abcdefghijkmnpqrstuvwxyz23456789";
    uint8_t octets[APP_PASSWORD_LETTERS];
    if (RAND_bytes(octets, sizeof octets) != 1)
        return failure_set(failure, "no random numbers are to be had");
    for (size_t i = 0; i < sizeof octets; i++) {
        if (i > 0 && i % 5 == 0) buf_append_char(password, '-');
        buf_append_char(password, letters[octets[i] % (sizeof letters - 1)]);
    }
    memory_wipe(octets, sizeof octets);
    return true;
}

/* Those that the login would not look at are not made. */
static bool has_room(const struct user_files *files, struct str address, struct str wanted, struct failure *failure) {
    struct str line, label;
    size_t offset = 0;
    unsigned others = 0;
    if (!password_file_find(buf_str(&files->passwords), address, &line)) return no_user(address, failure);
    while (password_file_next_app(line, &offset, &label))
        if (!str_equal(label, wanted)) others++;
    return others < PASSWORD_APPS_MAX ||
           failure_set(failure, "%.*s has %d app passwords, and more do not count: one has to go first",
                       STR_ARGS(address), PASSWORD_APPS_MAX);
}

static bool app_add(struct user_files *files, struct str address, struct str label, const char *scheme, json_t *answer,
                    struct failure *failure) {
    struct buf password = buf_make(0), secret = buf_make(0);
    bool good = has_room(files, address, label, failure) && make_app_password(&password, failure) &&
                hash_password(scheme, buf_str(&password), &secret, failure);
    if (good && !password_file_set_app(&files->passwords, address, label, buf_str(&secret)))
        good = no_user(address, failure);
    good = good && write_passwords(files, failure);
    if (good && answer)
        json_object_set_new(answer, "password", text_of(buf_str(&password)));
    else if (good)
        printf("%s\n", buf_string(&password));
    buf_free_secret(&password);
    buf_free_secret(&secret);
    return good;
}

static bool app_delete(struct user_files *files, struct str address, struct str label, struct failure *failure) {
    if (!password_file_set_app(&files->passwords, address, label, STR_EMPTY))
        return failure_set(failure, "no app password %.*s of %.*s", STR_ARGS(label), STR_ARGS(address));
    return write_passwords(files, failure);
}

static bool app_list(const struct user_files *files, struct str address, json_t *array, struct failure *failure) {
    struct str line, label;
    size_t offset = 0;
    if (!password_file_find(buf_str(&files->passwords), address, &line)) return no_user(address, failure);
    while (password_file_next_app(line, &offset, &label)) {
        if (array)
            json_array_append_new(array, text_of(label));
        else
            printf("%.*s\n", STR_ARGS(label));
    }
    return true;
}

/* ---- the command line */

static int usage(void) {
    tern_complain("usage: tern user [--json] [--scheme NAME] add|del|passwd NAME@DOMAIN | list | "
                  "app NAME@DOMAIN [add|del LABEL] | quota NAME@DOMAIN [storage=OCTETS|none] [messages=NUMBER|none]");
    return 64;
}

struct wish {
    bool json;
    const char *scheme, *verb, *app_verb;
    const char *address, *label; /* NULL: none */
    char **words;                /* of quota */
    int count;
};

static bool is_one_of(const char *word, const char *one, const char *other, const char *third) {
    return strcmp(word, one) == 0 || strcmp(word, other) == 0 || strcmp(word, third) == 0;
}

static void take_options(struct wish *wish, char ***words, int *count) {
    for (;;) {
        int taken = *count >= 1 && strcmp((*words)[0], "--json") == 0     ? 1
                    : *count >= 2 && strcmp((*words)[0], "--scheme") == 0 ? 2
                                                                          : 0;
        if (taken == 0) return;
        wish->json = wish->json || taken == 1;
        if (taken == 2) wish->scheme = (*words)[1];
        *words += taken;
        *count -= taken;
    }
}

static bool read_wish(const struct tern *tern, struct wish *wish) {
    int count = tern->argument_count;
    char **words = tern->arguments;
    *wish = (struct wish){.scheme = SCHEME};
    take_options(wish, &words, &count);
    if (count < 1) return false;
    wish->verb = words[0];
    if (strcmp(wish->verb, "list") == 0) return count == 1;
    if (count < 2) return false;
    wish->address = words[1];
    wish->words = words + 2;
    wish->count = count - 2;
    if (is_one_of(wish->verb, "add", "del", "passwd")) return count == 2;
    if (strcmp(wish->verb, "quota") == 0) return count <= 4;
    if (strcmp(wish->verb, "app") != 0 || (count != 2 && count != 4)) return false;
    wish->app_verb = count == 2 ? "list" : words[2];
    wish->label = count == 2 ? NULL : words[3];
    return count == 2 || is_one_of(wish->app_verb, "add", "del", "del");
}

static bool do_app(struct user_files *files, const struct wish *wish, struct str address, json_t *answer,
                   struct failure *failure) {
    struct str label = str_from(wish->label);
    if (answer && wish->label) json_object_set_new(answer, "label", text_of(label));
    if (!password_file_is_label(label))
        return failure_set(failure, "a label has up to %zu letters, digits and - _ .", PASSWORD_FILE_LABEL_MAX);
    if (wish->app_verb && strcmp(wish->app_verb, "add") == 0) return app_add(files, address, label, wish->scheme, answer, failure);
    return app_delete(files, address, label, failure);
}

/* answer: what --json prints, an array for lists, else an object; NULL: words. */
static bool do_wish(const struct config *config, struct user_files *files, const struct wish *wish, struct str address,
                    json_t *answer, struct failure *failure) {
    if (strcmp(wish->verb, "list") == 0) {
        user_list(files, answer);
        return true;
    }
    if (strcmp(wish->verb, "app") == 0 && !wish->label) return app_list(files, address, answer, failure);
    if (answer) {
        json_object_set_new(answer, "user", text_of(address));
        json_object_set_new(answer, "done", json_string(wish->label ? wish->app_verb : wish->verb));
    }
    if (strcmp(wish->verb, "add") == 0) return user_add(config, files, address, wish->scheme, failure);
    if (strcmp(wish->verb, "del") == 0) return user_delete(files, address, failure);
    if (strcmp(wish->verb, "passwd") == 0) return user_password(files, address, wish->scheme, failure);
    if (strcmp(wish->verb, "quota") == 0) return user_set_quota(files, address, wish->words, wish->count, failure);
    return do_app(files, wish, address, answer, failure);
}

static bool answers_with_list(const struct wish *wish) {
    return strcmp(wish->verb, "list") == 0 || (strcmp(wish->verb, "app") == 0 && !wish->label);
}

static int run(const struct tern *tern, const struct wish *wish, struct str address) {
    struct failure failure = {0};
    struct user_files files;
    struct config *config = tern_load(tern);
    if (config == NULL)
        return EXIT_FAILURE;
    json_t *answer = !wish->json ? NULL : answers_with_list(wish) ? json_array() : json_object();
    bool good = open_files(tern, config, &files, &failure) &&
                do_wish(config, &files, wish, address, answer, &failure);
    if (!good) {
        tern_complain("%s", failure.text);
    } else if (answer) {
        json_dumpf(answer, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(answer);
    close_files(&files);
    config_free(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int tern_user(const struct tern *tern) {
    char address[NAME_LIMIT + 2] = "";
    struct str user = STR_EMPTY;
    struct str domain = STR_EMPTY;
    struct wish wish;
    if (!read_wish(tern, &wish))
        return usage();
    if (strcmp(wish.verb, "quota") == 0 && wish.count == 0) return tern_user_quota(tern, wish.address, wish.json);
    if (wish.address && !read_address(wish.address, address, sizeof address, &user, &domain)) {
        tern_complain("%s is no NAME@DOMAIN of letters, digits and . - _ + =", wish.address);
        return 65;
    }
    return run(tern, &wish, str_from(address));
}
