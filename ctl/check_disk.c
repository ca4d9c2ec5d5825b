/* tern check: disks that are full, or nearly: where the queue, the data and the mailboxes lie. The measure is the one
 * by which cleanup takes mail (queue_minfree, message_size_limit, queue_minfree_files). Warnings: space comes and goes.
 */
#include "tern.h"

#include <sys/stat.h>
#include <sys/statvfs.h>

#define NEARLY 4 /* times what is wanted */

struct disk_check {
    uint64_t bytes, files; /* that have to be free */
    dev_t seen[8];         /* disks that something has been said of */
    size_t seen_count;
};

static uint64_t wanted_bytes(const struct config *config) {
    uint64_t largest = (uint64_t)config->message_size_limit;
    return config->queue_minfree ? (uint64_t)config->queue_minfree : largest + largest / 2;
}

static bool is_seen(const struct disk_check *check, dev_t disk) {
    for (size_t i = 0; i < check->seen_count; i++)
        if (check->seen[i] == disk) return true;
    return false;
}

/* What is short of some thing that is counted; says nothing of what is not. */
static bool warn_of_shortage(const char *parameter, const char *path, const char *measure, const char *unit,
                             uint64_t free, uint64_t wanted, uint64_t divisor) {
    if (free > 0 && free / NEARLY >= wanted) return false;
    tern_complain("warning: %s %s: %s: %.*f %s are free, %.*f (%s) would be right", parameter, path,
                  free > 0 && free >= wanted ? "the disk is nearly full" : "the disk is full: mail is put off",
                  divisor > 1, (double)free / (double)divisor, unit, divisor > 1,
                  (double)wanted * NEARLY / (double)divisor, measure);
    return true;
}

static void check_path(struct disk_check *check, const char *parameter, const char *path) {
    struct statvfs room;
    struct stat status;
    if (stat(path, &status) < 0 || statvfs(path, &room) < 0 || is_seen(check, status.st_dev)) return;
    bool said = warn_of_shortage(parameter, path, "queue_minfree, message_size_limit", "MB",
                                 (uint64_t)room.f_bavail * room.f_frsize, check->bytes, 1000000);
    if (room.f_files > 0) /* some file systems do not count them */
        said = warn_of_shortage(parameter, path, "queue_minfree_files", "inodes", (uint64_t)room.f_favail, check->files,
                                1) ||
               said;
    if (said && check->seen_count < ARRAY_LENGTH(check->seen)) check->seen[check->seen_count++] = status.st_dev;
}

/* The directory that all mailboxes have in common: what stands before the first word that differs between accounts. */
static void check_location(struct disk_check *check, struct str location) {
    size_t colon = str_find(location, ':'), end = 0;
    struct buf path = buf_make(4096);
    if (colon != STR_NONE) location = str_from_offset(location, colon + 1);
    for (size_t i = 0; i < location.length && !strchr("%~:", location.data[i]); i++)
        if (location.data[i] == '/') end = i;
    if (end > 0) {
        buf_append(&path, str_slice(location, 0, end));
        check_path(check, "mail_location", buf_string(&path));
    }
    buf_free(&path);
}

void check_disks(const struct config *config) {
    struct disk_check check = {.bytes = wanted_bytes(config), .files = (uint64_t)config->queue_minfree_files};
    check_path(&check, "queue_directory", config->queue_directory.data);
    check_path(&check, "data_directory", config->data_directory.data);
    if (config->virtual_mailbox_base.length > 0)
        check_path(&check, "virtual_mailbox_base", config->virtual_mailbox_base.data);
    check_path(&check, "mail_spool_directory", config->mail_spool_directory.data);
    check_location(&check, config->mail_location);
}
