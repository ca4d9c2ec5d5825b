/* tern flush, logrotate, start-fg: what operators know as postfix flush and so on. */
#include "tern.h"

#include "clock.h"

#include <errno.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NEW_LOG_LIMIT_MS 10000
#define POLL_MS          20

int tern_start_foreground(const struct tern *tern) {
    char foreground[] = "--foreground", *arguments[] = {foreground, NULL};
    struct tern with = *tern;
    if (tern->argument_count == 0) {
        with.arguments = arguments;
        with.argument_count = 1;
    }
    return tern_start(&with);
}

int tern_flush(const struct tern *tern) {
    struct config *config = tern_load(tern);
    char program[PATH_MAX];
    if (config == NULL) return EXIT_FAILURE;
    int length = snprintf(program, sizeof program, "%.*s/ternqueue", STR_ARGS(config->command_directory));
    config_free(&config);
    if (length > 0 && (size_t)length < sizeof program)
        execl(program, "ternqueue", "-c", tern->config_directory, "-f", NULL);
    tern_complain("%s: %s", program, strerror(errno));
    return EXIT_FAILURE;
}

/* ---- logrotate */

/* The log daemon looks once a second whether its file is where it was, and makes a new one. Until then it writes
 * to the old one, which a compressor would take away. */
static bool await_new_log(const char *path) {
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    struct stat status;
    for (deadline until = deadline_in(NEW_LOG_LIMIT_MS); stat(path, &status) != 0; nanosleep(&pause, NULL))
        if (deadline_left(until) == 0) return false;
    return true;
}

static bool compress_file(struct str compressor, const char *path) {
    char program[PATH_MAX];
    int status = -1;
    snprintf(program, sizeof program, "%.*s", STR_ARGS(compressor));
    pid_t child = fork();
    if (child == 0) {
        execlp(program, program, path, NULL);
        tern_complain("%s: %s", program, strerror(errno));
        _exit(EXIT_FAILURE);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The administrator's own words for a date. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
static bool format_suffix(const char *format, char *suffix, size_t size) {
    time_t now = time(NULL);
    struct tm date;
    return localtime_r(&now, &date) && strftime(suffix, size, format, &date) > 0 && !strchr(suffix, '/');
}
#pragma GCC diagnostic pop

/* path with maillog_file_rotate_suffix as it is at this moment; false if that makes no name, or one that is taken. */
static bool name_aside(const struct config *config, const char *path, char aside[PATH_MAX]) {
    char format[200], suffix[200];
    struct stat status;
    snprintf(format, sizeof format, "%.*s", STR_ARGS(config->maillog_file_rotate_suffix));
    if (!format_suffix(format, suffix, sizeof suffix)) {
        tern_complain("maillog_file_rotate_suffix \"%s\" makes no name", format);
        return false;
    }
    int length = snprintf(aside, PATH_MAX, "%s.%s", path, suffix);
    if (length > 0 && length < PATH_MAX && lstat(aside, &status) != 0) return true;
    tern_complain("%s is there already", aside);
    return false;
}

static bool rotate(const struct tern *tern, const struct config *config) {
    const char *path = config->maillog_file.data;
    char aside[PATH_MAX];
    if (config->maillog_file.length == 0) {
        tern_complain("maillog_file is empty: the system's logger has the log");
        return false;
    }
    if (str_starts(config->maillog_file, STR("/dev/"))) return true;
    bool running = tern_is_running(tern);
    if (!name_aside(config, path, aside)) return false;
    if (rename(path, aside) != 0) {
        tern_complain("%s: %s", path, strerror(errno));
        return false;
    }
    if (running && !await_new_log(path)) {
        tern_complain("%s is not made anew; %s is not compressed", path, aside);
        return false;
    }
    return config->maillog_file_compressor.length == 0 || compress_file(config->maillog_file_compressor, aside);
}

int tern_logrotate(const struct tern *tern) {
    struct config *config = tern_load(tern);
    if (config == NULL) return EXIT_FAILURE;
    bool good = rotate(tern, config);
    config_free(&config);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
