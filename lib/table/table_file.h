/* A table's source file: reading it whole, and seeing that it changed. */
#ifndef TERN_TABLE_FILE_H
#define TERN_TABLE_FILE_H

#include "buf.h"
#include "compiler.h"
#include "failure.h"
#include "str.h"

/* What tells one state of a file from another. */
struct table_stamp {
    uint64_t device;
    uint64_t inode;
    int64_t size;
    int64_t seconds;
    int64_t nanoseconds;
    bool exists;
};

/* Most bytes of a text source that tern reads into memory. */
#define TABLE_FILE_MAX ((size_t)256 << 20)

/* Appends the file's bytes to *content and notes its state. Only regular files;
 * symbolic links are followed (administrators link their tables). */
MUST_USE bool table_file_read(struct str path, size_t limit, struct buf *content, struct table_stamp *stamp,
                              struct failure *failure);
/* The state now; exists is false if there is none. */
struct table_stamp table_stamp_of(struct str path);
/* True if a file that was there when it was opened is another one now, or gone. */
bool table_stamp_changed(const char *path, const struct table_stamp *opened);
bool table_stamp_equal(const struct table_stamp *a, const struct table_stamp *b);

#endif
