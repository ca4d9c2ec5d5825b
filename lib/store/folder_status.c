/* What can be told of a folder that no client has open. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folder_message.h"
#include "folder_view.h"

#define LARGE_DIRECTORY 65536 /* octets: about a thousand names, where names are what is counted */

bool folder_is_first_look(struct store *store, struct str name) {
    enum store_result ignored_result;
    struct failure ignored = {0};
    struct stat status;
    int directory = store_folder_directory(store, name, &ignored_result, &ignored);
    if (directory < 0) return false;
    bool is_new = fstatat(directory, FOLDER_FILE, &status, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT;
    bool is_large = fstatat(directory, "cur", &status, AT_SYMLINK_NOFOLLOW) == 0 && status.st_size > LARGE_DIRECTORY;
    close(directory);
    return is_new && is_large;
}

enum store_result folder_status(struct store *store, struct str name, bool sizes, struct folder_status *status,
                                struct failure *failure) {
    enum store_result result;
    struct folder *folder = folder_open(store, name, FOLDER_READ_ONLY, &result, failure);
    if (!folder) return result;
    const struct folder_header *header = &folder->state.header;
    if (sizes && header->uncounted > 0) result = folder_count_all(folder, failure);
    if (sizes && header->unsized > 0) folder_size_all(folder);
    *status = (struct folder_status){.messages = header->count,
                                     .recent = folder_recent(folder),
                                     .unseen = header->unseen,
                                     .deleted = header->deleted,
                                     .uid_next = header->uid_next,
                                     .uid_validity = header->uid_validity,
                                     .highest_modseq = header->highest_modseq,
                                     .size = header->virtual_size,
                                     .deleted_size = header->deleted_size};
    memcpy(status->id, header->id, sizeof status->id);
    folder_close(&folder);
    return result;
}
