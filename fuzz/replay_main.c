/* A main() for fuzz targets without libFuzzer: feeds every regular file of the files and directories
 * given to the target. Without arguments it takes fuzz/seeds/NAME of the source tree, so that every
 * target is a test of make check. With TERN_LIBFUZZER the main() is libFuzzer's. */
#include "compiler.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#if !defined(TERN_LIBFUZZER)
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static size_t files_run;

static bool complain(const char *path) {
    fprintf(stderr, "%s: %s\n", path, strerror(errno));
    return false;
}

/* The input lies in a block of exactly its size, so that a read past it is seen by the sanitizer. */
static bool feed(int descriptor, size_t size, const char *path) {
    uint8_t *data = malloc(size ? size : 1);
    if (!data) return complain(path);
    size_t have = 0;
    ssize_t got = 0;
    while (have < size && (got = read(descriptor, data + have, size - have)) > 0)
        have += (size_t)got;
    bool whole = have == size || (got < 0 && complain(path));
    if (whole) {
        (void)LLVMFuzzerTestOneInput(data, have);
        files_run++;
    }
    free(data);
    return whole;
}

static bool replay_directory(int descriptor, const char *path);

static bool replay(int folder, const char *name, bool into_directories) {
    int descriptor = openat(folder, name, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (descriptor < 0) return complain(name);
    bool done = true;
    if (fstat(descriptor, &status) < 0)
        done = complain(name);
    else if (S_ISREG(status.st_mode))
        done = feed(descriptor, (size_t)status.st_size, name);
    else if (S_ISDIR(status.st_mode) && into_directories)
        return replay_directory(descriptor, name); /* which closes it */
    close(descriptor);
    return done;
}

static bool replay_directory(int descriptor, const char *path) {
    DIR *directory = fdopendir(descriptor);
    if (!directory) {
        close(descriptor);
        return complain(path);
    }
    bool done = true;
    for (struct dirent *entry = readdir(directory); entry; entry = readdir(directory)) {
        if (entry->d_name[0] != '.') done = replay(descriptor, entry->d_name, false) && done;
    }
    closedir(directory);
    return done;
}

static bool replay_seeds(const char *program) {
    const char *source = getenv("srcdir"); /* set by automake's test driver */
    const char *slash = strrchr(program, '/');
    char path[4096];
    int length = snprintf(path, sizeof(path), "%s/fuzz/seeds/%s", source ? source : ".", slash ? slash + 1 : program);
    return length > 0 && (size_t)length < sizeof(path) && replay(AT_FDCWD, path, true);
}

int main(int count, char **arguments) {
    bool done = true;
    if (count < 2) done = replay_seeds(count > 0 ? arguments[0] : "");
    for (int i = 1; i < count; i++)
        done = replay(AT_FDCWD, arguments[i], true) && done;
    printf("%zu inputs\n", files_run);
    return done && files_run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
#endif
