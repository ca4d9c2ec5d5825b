/* tern check: owners and modes of the files of the configuration, and of what lies outside of
 * the spool. Whoever can write there decides what master runs, or reads others' mail. */
#include "tern.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define WRITABLE_BY_OTHERS 0022

static bool check_mode(const char *path, const struct stat *status, mode_t forbidden) {
    mode_t mode = status->st_mode & 07777;
    if ((mode & forbidden) == 0)
        return true;
    tern_complain("%s has mode %04o: %04o would be right", path, (unsigned)mode, (unsigned)(mode & ~forbidden));
    return false;
}

static bool check_owner(const char *path, const struct stat *status, uid_t owner) {
    if (status->st_uid == owner || status->st_uid == 0)
        return true;
    tern_complain("%s belongs to user %u: %u would be right", path, (unsigned)status->st_uid, (unsigned)owner);
    return false;
}

/* main.cf and master.cf decide what root runs; the others may be somebody's to keep. */
static bool is_master_s(const char *name) { return strcmp(name, "main.cf") == 0 || strcmp(name, "master.cf") == 0; }

static bool check_entry(const char *directory, const char *name) {
    struct buf path = buf_make(4096);
    struct stat status;
    bool good = true;
    buf_printf(&path, "%s/%s", directory, name);
    if (stat(buf_string(&path), &status) == 0 && S_ISREG(status.st_mode)) {
        bool secret = str_ends(str_from(name), STR(".passwd"));
        good = check_mode(buf_string(&path), &status, secret ? 0037 : WRITABLE_BY_OTHERS);
        if (is_master_s(name))
            good = check_owner(buf_string(&path), &status, geteuid()) && good;
    }
    buf_free(&path);
    return good;
}

bool check_configuration_files(const char *directory) {
    struct stat status;
    DIR *listing = opendir(directory);
    bool good = true;
    if (listing == NULL || fstat(dirfd(listing), &status) < 0) {
        tern_complain("%s: %s", directory, strerror(errno));
        if (listing != NULL)
            closedir(listing);
        return false;
    }
    good = check_mode(directory, &status, WRITABLE_BY_OTHERS);
    good = check_owner(directory, &status, geteuid()) && good;
    for (const struct dirent *entry; (entry = readdir(listing)) != NULL;)
        good = check_entry(directory, entry->d_name) && good;
    closedir(listing);
    return good;
}

static bool check_place(const char *path, const char *mail_owner, const char *account) {
    struct stat status;
    uid_t owner;
    gid_t group;
    if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode))
        return true;
    bool good = check_mode(path, &status, 0002);
    if (account != NULL && accounts_find(mail_owner, account, &owner, &group))
        good = check_owner(path, &status, owner) && good;
    return good;
}

bool check_places(const struct config *config) {
    struct buf log = buf_make(4096);
    size_t slash = str_find_last(config->maillog_file, '/');
    bool good = true;
    if (slash != STR_NONE && slash > 0 && !str_starts(config->maillog_file, STR("/dev/"))) {
        buf_append(&log, str_slice(config->maillog_file, 0, slash));
        good = check_place(buf_string(&log), config->mail_owner.data, "log");
    }
    if (config->virtual_mailbox_base.length > 0)
        good = check_place(config->virtual_mailbox_base.data, config->mail_owner.data, NULL) && good;
    buf_free(&log);
    return good;
}
