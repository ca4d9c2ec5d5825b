/* tern start, stop, reload, restart, status, pids: what is said to master. */
#include "tern.h"

#include "clock.h"
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define STOP_LIMIT_MS 30000
#define POLL_MS 5
#define ANSWER_LIMIT ((size_t)1024 * 1024)

/* ---- is there a master: its lock tells, and its pid with it */

static pid_t running_master(void) {
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    int descriptor = open("pid/master.pid", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    int result = fcntl(descriptor, F_GETLK, &lock);
    close(descriptor);
    return result == 0 && lock.l_type != F_UNLCK ? lock.l_pid : 0;
}

/* The last "queue_directory = /path" of a main.cf that is otherwise beyond use: what runs must
 * be reachable, whatever has become of its configuration since. */
static bool scan_for_queue_directory(const struct tern *tern, struct buf *directory) {
    struct buf path = buf_make(4096);
    struct buf text = buf_make(CONFIG_FILE_MAX);
    struct failure failure = {0};
    struct str name;
    struct str value;
    struct str line;
    buf_printf(&path, "%s/main.cf", tern->config_directory);
    (void)!config_read_file(buf_string(&path), CONFIG_FILE_MAX, &text, &failure);
    struct str rest = buf_str(&text);
    while (str_next_word(&rest, "\n", &line))
        if (str_cut(line, '=', &name, &value) && str_equal(str_trim(name), STR("queue_directory")) &&
            str_find(value, '$') == STR_NONE) {
            buf_clear(directory);
            buf_append(directory, str_trim(value));
        }
    buf_free(&text);
    buf_free(&path);
    return directory->length > 0;
}

/* Goes to the queue directory; relative paths from there keep within sun_path. */
static bool enter_queue_directory(const struct tern *tern) {
    struct buf directory = buf_make(4096);
    struct config *config = NULL;
    struct failure failure = {0};
    /* The log daemon's parameters are few: errors elsewhere do not matter here. */
    bool good = config_load(tern->config_directory, NULL, 0, SCOPE_LOG, &config, NULL, &failure);
    if (good)
        buf_append(&directory, config->queue_directory);
    else
        good = scan_for_queue_directory(tern, &directory);
    if (!good)
        tern_complain("%s", failure.text);
    else if (chdir(buf_string(&directory)) < 0) {
        tern_complain("queue_directory %s: %s", buf_string(&directory), strerror(errno));
        good = false;
    }
    config_free(&config);
    buf_free(&directory);
    return good;
}

/* ---- speaking to it */

static int connect_to_master(void) {
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "private/master"};
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor >= 0 && connect(descriptor, (struct sockaddr *)&address, sizeof address) == 0)
        return descriptor;
    int connect_error = errno;
    if (descriptor >= 0)
        close(descriptor);
    errno = connect_error;
    return -1;
}

/* Sends a command; *answer gets all lines but the last, which says whether it was good. */
static bool ask_master(const char *command, struct buf *answer) {
    char bytes[4096];
    int descriptor = connect_to_master();
    if (descriptor < 0) {
        tern_complain("master's socket: %s", strerror(errno));
        return false;
    }
    bool sent = dprintf(descriptor, "%s\n", command) > 0;
    ssize_t got;
    while (sent && (got = read(descriptor, bytes, sizeof bytes)) > 0)
        if (!buf_append_bytes(answer, bytes, (size_t)got))
            break;
    close(descriptor);
    if (str_ends(buf_str(answer), STR("ok\n"))) {
        buf_truncate(answer, answer->length - 3);
        return true;
    }
    if (str_ends(buf_str(answer), STR("failed\n")))
        buf_truncate(answer, answer->length - 7);
    return false;
}

/* Enters the queue directory; complains if no master runs there. */
static pid_t find_master(const struct tern *tern) {
    if (!enter_queue_directory(tern))
        return 0;
    pid_t pid = running_master();
    if (pid == 0)
        tern_complain("the mail system is not running");
    return pid;
}

bool tern_is_running(const struct tern *tern) { return enter_queue_directory(tern) && running_master() != 0; }

/* ---- stop, reload, status, pids */

static void pause_ms(long milliseconds) {
    struct timespec time = {.tv_sec = milliseconds / 1000, .tv_nsec = milliseconds % 1000 * 1000000};
    nanosleep(&time, NULL);
}

int tern_stop(const struct tern *tern) {
    struct buf answer = buf_make(ANSWER_LIMIT);
    pid_t pid = find_master(tern);
    if (pid == 0)
        return EXIT_FAILURE;
    if (!ask_master("stop", &answer) && kill(pid, SIGTERM) < 0 && errno != ESRCH) {
        tern_complain("cannot stop master, pid %d: %s", (int)pid, strerror(errno));
        buf_free(&answer);
        return EXIT_FAILURE;
    }
    buf_free(&answer);
    for (deadline until = deadline_in(STOP_LIMIT_MS); running_master() == pid; pause_ms(POLL_MS))
        if (deadline_left(until) == 0) {
            tern_complain("master, pid %d, has not ended after %d s", (int)pid, STOP_LIMIT_MS / 1000);
            return EXIT_FAILURE;
        }
    return EXIT_SUCCESS;
}

int tern_reload(const struct tern *tern) {
    struct buf answer = buf_make(ANSWER_LIMIT);
    if (find_master(tern) == 0)
        return EXIT_FAILURE;
    bool good = ask_master("reload", &answer);
    fputs(buf_string(&answer), stderr);
    if (!good)
        tern_complain("reload refused; what ran goes on");
    buf_free(&answer);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int print_answer(const struct tern *tern, const char *command) {
    struct buf answer = buf_make(ANSWER_LIMIT);
    if (find_master(tern) == 0)
        return EXIT_FAILURE;
    bool good = ask_master(command, &answer);
    fputs(buf_string(&answer), stdout);
    buf_free(&answer);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int tern_status(const struct tern *tern) { return print_answer(tern, "status"); }

int tern_pids(const struct tern *tern) { return print_answer(tern, "pids"); }

/* ---- start */

NO_RETURN static void become_master(const char *path, const char *config_directory, int report, bool foreground) {
    char number[20];
    const char *arguments[8] = {"master", "-c", config_directory};
    int count = 3;
    if (foreground)
        arguments[count++] = "-f";
    if (report >= 0) {
        snprintf(number, sizeof number, "%d", report);
        arguments[count++] = "-r";
        arguments[count++] = number;
    }
    execv(path, (char *const *)(uintptr_t)arguments);
    tern_complain("%s: %s", path, strerror(errno));
    _exit(EXIT_FAILURE);
}

/* In the new process: a session of its own, no terminal, and standard error (where this
 * command's caller may be reading until the end of file) only while master starts. */
NO_RETURN static void become_daemon(const char *path, const char *config_directory, int report) {
    setsid();
    signal(SIGHUP, SIG_DFL);
    become_master(path, config_directory, report, false);
}

/* Waits for master's one line. */
static int await_outcome(int report) {
    struct buf outcome = buf_make(ANSWER_LIMIT);
    char bytes[1000];
    ssize_t got;
    while ((got = read(report, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR))
        if (got > 0 && !buf_append_bytes(&outcome, bytes, (size_t)got))
            break;
    struct str text = str_trim(buf_str(&outcome));
    bool good = str_equal(text, STR("ok"));
    if (!good)
        tern_complain("the mail system did not start: %.*s", STR_ARGS(text.length != 0 ? text : STR("master has died")));
    buf_free(&outcome);
    return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int start_in_background(const char *path, const char *config_directory) {
    int pipe_ends[2];
    if (pipe(pipe_ends) < 0 || fcntl(pipe_ends[0], F_SETFD, FD_CLOEXEC) < 0) {
        tern_complain("pipe: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    pid_t pid = fork();
    if (pid < 0) {
        tern_complain("fork: %s", strerror(errno));
        return EXIT_FAILURE;
    }
    if (pid == 0)
        become_daemon(path, config_directory, pipe_ends[1]);
    close(pipe_ends[1]);
    return await_outcome(pipe_ends[0]);
}

int tern_start(const struct tern *tern) {
    bool foreground = tern->argument_count == 1 && strcmp(tern->arguments[0], "--foreground") == 0;
    if (tern->argument_count != (foreground ? 1 : 0)) {
        tern_complain("usage: tern start [--foreground]");
        return 64;
    }
    struct config *config = tern_load(tern);
    if (config == NULL)
        return EXIT_FAILURE;
    struct buf path = buf_make(4096);
    int status = EXIT_FAILURE;
    buf_printf(&path, "%.*s/master", STR_ARGS(config->daemon_directory));
    if (!check_configuration(tern) || !check_directories(config, false))
        tern_complain("not started");
    else if (chdir(config->queue_directory.data) < 0)
        tern_complain("queue_directory %s: %s", config->queue_directory.data, strerror(errno));
    else if (running_master() != 0)
        tern_complain("the mail system is already running: master has pid %d", (int)running_master());
    else if (foreground)
        become_master(buf_string(&path), tern->config_directory, -1, true);
    else
        status = start_in_background(buf_string(&path), tern->config_directory);
    buf_free(&path);
    config_free(&config);
    return status;
}

int tern_restart(const struct tern *tern) {
    if (!enter_queue_directory(tern))
        return EXIT_FAILURE;
    if (running_master() != 0) {
        int status = tern_stop(tern);
        if (status != EXIT_SUCCESS)
            return status;
    }
    return tern_start(tern);
}
