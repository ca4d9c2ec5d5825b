/* tern user: mailbox users of an instance that tern init made.
 *
 * Two files in the configuration directory: users (texthash: address to mailbox)
 * and users.passwd (address:{CRYPT}hash, mode 0600). Both are replaced whole. */
#include "tern.h"

#include "memory.h"

#include <crypt.h>
#include <errno.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <fcntl.h>
#include <termios.h>
#include <unistd.h>

#define PASSWORD_LIMIT 500
#define NAME_LIMIT 255
#define HASH_METHOD "$y$" /* yescrypt */

struct user_files {
    struct buf map_path;
    struct buf password_path;
    struct buf map;
    struct buf passwords;
    int lock; /* on the map, while both are changed */
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

static bool open_files(const struct tern *tern, struct user_files *files, struct failure *failure) {
    *files = (struct user_files){.lock = -1};
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
    return files_replace(buf_string(&files->password_path), buf_str(&files->passwords), 0600, failure);
}

/* ---- passwords */

static bool read_password(char *password, size_t size, struct failure *failure) {
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

static bool add_password(struct buf *passwords, struct str address, struct failure *failure) {
    char password[PASSWORD_LIMIT + 2];
    struct crypt_data *data = MEMORY_NEW(struct crypt_data);
    bool good = read_password(password, sizeof password, failure);
    if (good) {
        const char *salt = crypt_gensalt_rn(HASH_METHOD, 0, NULL, 0, data->setting, sizeof data->setting);
        const char *hash = salt == NULL ? NULL : crypt_rn(password, salt, data, (int)sizeof *data);
        good = hash != NULL && hash[0] != '*';
        if (good)
            buf_printf(passwords, "%.*s:{CRYPT}%s\n", STR_ARGS(address), hash);
        else
            failure_set_errno(failure, errno, "the password could not be hashed");
    }
    memory_wipe(password, sizeof password);
    memory_wipe(data, sizeof *data);
    MEMORY_FREE(data);
    return good;
}

/* ---- mailboxes */

/* The owner of new mailboxes: virtual_uid_maps = static:UID. */
static bool static_number(struct str tables, uint64_t *number) {
    struct str prefix = STR("static:");
    return str_starts(tables, prefix) && str_to_u64(str_from_offset(tables, prefix.length), UINT32_MAX - 1, number);
}

static bool make_mailbox(const struct config *config, struct str user, struct str domain, struct failure *failure) {
    static const char *const parts[] = {"", "/tmp", "/new", "/cur"};
    struct buf path = buf_make(4096);
    uint64_t owner = geteuid();
    uint64_t group = getegid();
    bool good = true;
    if (!static_number(config->virtual_uid_maps, &owner) || !static_number(config->virtual_gid_maps, &group))
        return geteuid() != 0 || failure_set(failure, "virtual_uid_maps and virtual_gid_maps are not static:NUMBER; the "
                                                      "mailbox is left to the delivery agent");
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

static bool user_add(const struct config *config, struct user_files *files, struct str address, struct str user,
                     struct str domain, struct failure *failure) {
    if (has_key(buf_str(&files->map), address) || has_key(buf_str(&files->passwords), address))
        return failure_set(failure, "%.*s exists already", STR_ARGS(address));
    if (!add_password(&files->passwords, address, failure) || !make_mailbox(config, user, domain, failure))
        return false;
    buf_printf(&files->map, "%.*s %.*s/%.*s/Maildir/\n", STR_ARGS(address), STR_ARGS(domain), STR_ARGS(user));
    return write_passwords(files, failure) && write_map(files, failure);
}

static bool user_delete(struct user_files *files, struct str address, struct failure *failure) {
    bool mapped = remove_key(&files->map, address);
    bool known = remove_key(&files->passwords, address);
    if (!mapped && !known)
        return failure_set(failure, "no user %.*s", STR_ARGS(address));
    return write_map(files, failure) && write_passwords(files, failure);
}

static bool user_password(struct user_files *files, struct str address, struct failure *failure) {
    if (!has_key(buf_str(&files->map), address))
        return failure_set(failure, "no user %.*s", STR_ARGS(address));
    remove_key(&files->passwords, address);
    return add_password(&files->passwords, address, failure) && write_passwords(files, failure);
}

static void user_list(const struct user_files *files) {
    struct str rest = buf_str(&files->map);
    struct str line;
    while (next_line(&rest, &line)) {
        struct str key = line_key(line);
        if (key.length > 0)
            printf("%.*s\n", STR_ARGS(key));
    }
}

static int usage(void) {
    tern_complain("usage: tern user add|del|passwd NAME@DOMAIN | list");
    return 64;
}

int tern_user(const struct tern *tern) {
    char address[NAME_LIMIT + 2];
    struct str user = STR_EMPTY;
    struct str domain = STR_EMPTY;
    struct failure failure = {0};
    if (tern->argument_count < 1)
        return usage();
    const char *verb = tern->arguments[0];
    bool list = strcmp(verb, "list") == 0;
    bool add = strcmp(verb, "add") == 0;
    bool delete = strcmp(verb, "del") == 0;
    if (tern->argument_count != (list ? 1 : 2) || !(list || add || delete || strcmp(verb, "passwd") == 0))
        return usage();
    if (!list && !read_address(tern->arguments[1], address, sizeof address, &user, &domain)) {
        tern_complain("%s is no NAME@DOMAIN of letters, digits and . - _ + =", tern->arguments[1]);
        return 65;
    }
    struct config *config = tern_load(tern);
    if (config == NULL)
        return EXIT_FAILURE;
    struct user_files files;
    bool good = open_files(tern, &files, &failure);
    if (good && list)
        user_list(&files);
    else if (good && add)
        good = user_add(config, &files, str_from(address), user, domain, &failure);
    else if (good && delete)
        good = user_delete(&files, str_from(address), &failure);
    else if (good)
        good = user_password(&files, str_from(address), &failure);
    if (!good)
        tern_complain("%s", failure.text);
    close_files(&files);
    config_free(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
