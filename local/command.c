/* Delivery to a command: "|command" of an alias or .forward, and mailbox_command.
 *
 * The command gets the message on its standard input, after a From line and the
 * prepended header; its exit status (sysexits.h) says what became of it, its output
 * says why. It runs in a process group of its own and does not outlive its time. */
#include <errno.h>
#include <fcntl.h>
#include <paths.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "log_text.h"
#include "worker.h"

#define OUTPUT_LIMIT  4096
#define ARGUMENTS_MAX 200

/* ---- what an exit status means */

struct exit_meaning {
    int status;
    const char *code, *text;
};

static const struct exit_meaning meanings[] = {
    {EX_USAGE, "5.3.0", "command line usage error"},    {EX_DATAERR, "5.6.0", "data format error"},
    {EX_NOINPUT, "5.3.0", "cannot open input"},         {EX_NOUSER, "5.1.1", "user unknown"},
    {EX_NOHOST, "5.1.2", "host name unknown"},          {EX_UNAVAILABLE, "5.3.0", "service unavailable"},
    {EX_SOFTWARE, "5.3.0", "internal software error"},  {EX_OSERR, "5.3.0", "system resource problem"},
    {EX_OSFILE, "5.3.0", "critical OS file missing"},   {EX_CANTCREAT, "5.2.0", "can't create user output file"},
    {EX_IOERR, "5.3.0", "input/output error"},          {EX_TEMPFAIL, "4.3.0", "temporary failure"},
    {EX_PROTOCOL, "5.5.0", "remote error in protocol"}, {EX_NOPERM, "5.7.0", "permission denied"},
    {EX_CONFIG, "5.3.5", "local configuration error"},
};

/* "5.7.1 text": a command may say the status code itself. */
static bool output_says_code(struct str output, char code[12], struct str *rest) {
    size_t length = 0;
    unsigned dots = 0;
    while (length < output.length && !ascii_is_space(output.data[length]))
        length++;
    if (length < 5 || length > 9 || (output.data[0] != '4' && output.data[0] != '5') || output.data[1] != '.')
        return false;
    for (size_t i = 0; i < length; i++) {
        if (output.data[i] == '.')
            dots++;
        else if (!ascii_is_digit(output.data[i]))
            return false;
    }
    if (dots != 2 || output.data[length - 1] == '.' || output.data[2] == '.') return false;
    snprintf(code, 12, "%.*s", (int)length, output.data);
    *rest = str_trim(str_from_offset(output, length));
    return true;
}

/* The output on one line, cut. */
static void append_output(struct buf *text, struct str output) {
    struct buf flat = buf_make(0);
    for (size_t i = 0; i < output.length; i++)
        buf_append_char(&flat, ascii_is_space(output.data[i]) ? ' ' : output.data[i]);
    if (flat.length > 0) {
        buf_append(text, STR(". Command output: "));
        log_text_append(text, str_trim(buf_str(&flat)), 400);
    }
    buf_free(&flat);
}

void command_judge(struct str command, int wait_status, struct str output, struct worked *worked) {
    struct buf text = buf_make(0);
    char code[12] = "5.3.0";
    output = str_trim(output);
    command = str_slice(command, 0, 300);
    int status = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    const struct exit_meaning *meaning = NULL;
    for (size_t i = 0; i < ARRAY_LENGTH(meanings); i++)
        if (meanings[i].status == status) meaning = &meanings[i];
    if (status == 0) {
        worked_set(worked, DELIVERY_DELIVERED, "2.0.0", "delivered to command: %.*s", STR_ARGS(command));
    } else {
        if (meaning) {
            snprintf(code, sizeof code, "%s", meaning->code);
            buf_append(&text, str_from(meaning->text));
        } else if (status < 0) {
            snprintf(code, sizeof code, "4.3.0");
            buf_printf(&text, "Command died with signal %d: \"%.*s\"", WTERMSIG(wait_status), STR_ARGS(command));
        } else {
            buf_printf(&text, "Command died with status %d: \"%.*s\"", status, STR_ARGS(command));
        }
        if (status > 0) output_says_code(output, code, &output);
        append_output(&text, output);
        worked_set(worked, code[0] == '4' ? DELIVERY_DEFERRED : DELIVERY_FAILED, code, "%s", buf_string(&text));
    }
    buf_free(&text);
}

/* ---- the environment */

struct environment {
    char *entries[40];
    size_t count;
};

/* One of a name: another takes its place. */
static void environment_add(struct environment *environment, const char *name, struct str value, struct str filter) {
    struct buf entry = buf_make(0);
    size_t place = 0;
    buf_printf(&entry, "%s=", name);
    while (place < environment->count && !str_starts(str_from(environment->entries[place]), buf_str(&entry)))
        place++;
    for (size_t i = 0; i < value.length; i++)
        buf_append_char(&entry, filter.length && str_find(filter, value.data[i]) == STR_NONE ? '_' : value.data[i]);
    if (place < environment->count) {
        MEMORY_FREE(environment->entries[place]);
        environment->entries[place] = memory_copy_string(buf_str(&entry));
    } else if (place + 1 < ARRAY_LENGTH(environment->entries)) {
        environment->entries[environment->count++] = memory_copy_string(buf_str(&entry));
    }
    buf_free(&entry);
}

/* export_environment: names to pass on, or name=value. */
static void environment_export(struct environment *environment, struct str list) {
    struct str rest = list, word, name, value;
    while (str_next_word(&rest, ", \t", &word) && environment->count < 20) {
        bool given = str_cut(word, '=', &name, &value);
        char *plain = memory_copy_string(given ? name : word);
        const char *inherited = given ? NULL : getenv(plain);
        if (given || inherited) environment_add(environment, plain, given ? value : str_from(inherited), STR_EMPTY);
        MEMORY_FREE(plain);
    }
}

static void environment_make(struct environment *environment, const struct config *config,
                             const struct ipc_local_work *work) {
    struct str filter = config->command_expansion_filter;
    /* The one that an alias led to, as LOCAL and DOMAIN are of that one. */
    struct buf recipient = buf_make(0);
    buf_append(&recipient, work->local);
    if (work->domain.length) buf_printf(&recipient, "@%.*s", STR_ARGS(work->domain));
    environment_export(environment, config->export_environment);
    environment_add(environment, "PATH", STR(_PATH_DEFPATH), STR_EMPTY);
    environment_add(environment, "SHELL", STR("/bin/sh"), STR_EMPTY);
    if (work->home.length) environment_add(environment, "HOME", work->home, STR_EMPTY);
    if (work->user.length) {
        environment_add(environment, "USER", work->user, STR_EMPTY);
        environment_add(environment, "LOGNAME", work->user, STR_EMPTY);
    }
    environment_add(environment, "SENDER", work->sender, filter);
    environment_add(environment, "RECIPIENT", buf_str(&recipient), filter);
    environment_add(environment, "ORIGINAL_RECIPIENT", work->original.length ? work->original : work->recipient,
                    filter);
    environment_add(environment, "LOCAL", work->local, filter);
    environment_add(environment, "DOMAIN", work->domain, filter);
    if (work->extension.length) environment_add(environment, "EXTENSION", work->extension, filter);
    environment->entries[environment->count] = NULL;
    buf_free(&recipient);
}

/* ---- the child */

/* What a shell is not needed for. */
static bool is_plain(struct str command) {
    static const struct str plain =
        STR_INIT("1234567890!@%-_=+:,./abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ \t");
    static const char *const builtins[] = {"bg",     "break",  "case",  "cd",    "continue", "do",    "eval", "exec",
                                           "exit",   "export", "for",   "if",    "read",     "set",   "trap", "type",
                                           "ulimit", "umask",  "unset", "until", "wait",     "while", "."};
    struct str rest = command, word;
    for (size_t i = 0; i < command.length; i++)
        if (str_find(plain, command.data[i]) == STR_NONE) return false;
    if (!str_next_word(&rest, " \t", &word) || str_find(word, '=') != STR_NONE) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(builtins); i++)
        if (str_equal(word, str_from(builtins[i]))) return false;
    return true;
}

static void add_words(char **arguments, size_t *count, struct str text) {
    struct str rest = text, word;
    while (*count + 2 < ARGUMENTS_MAX && str_next_word(&rest, " \t", &word))
        arguments[(*count)++] = memory_copy_string(word);
}

NO_RETURN static void run_child(const struct config *config, const struct ipc_local_work *work, int input, int output) {
    static char *arguments[ARGUMENTS_MAX + 1];
    struct environment environment = {0};
    struct buf directory = buf_make(2000);
    sigset_t none;
    size_t count = 0;
    setsid();
    /* What is ignored here a shell could not trap, nor anybody end what it starts by SIGTERM. */
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0)
        _exit(EX_TEMPFAIL);
    close_range(3, ~0U, 0);
    environment_make(&environment, config, work);
    if (config->command_execution_directory.length) {
        if (!expand_template(config->command_execution_directory, work, config,
                             config->execution_directory_expansion_filter, &directory) ||
            chdir(buf_string(&directory)) < 0) {
            dprintf(STDERR_FILENO, "cannot change to directory %s", buf_string(&directory));
            _exit(EX_TEMPFAIL);
        }
    } else if (chdir(config->queue_directory.length ? config->queue_directory.data : "/") < 0 && chdir("/") < 0) {
        _exit(EX_TEMPFAIL);
    }
    if (config->local_command_shell.length) {
        add_words(arguments, &count, config->local_command_shell);
        if (count == 1) arguments[count++] = memory_copy_string(STR("-c"));
        arguments[count++] = memory_copy_string(work->target);
    } else if (is_plain(work->target)) {
        add_words(arguments, &count, work->target);
    } else {
        arguments[count++] = memory_copy_string(STR("/bin/sh"));
        arguments[count++] = memory_copy_string(STR("-c"));
        arguments[count++] = memory_copy_string(work->target);
    }
    arguments[count] = NULL;
    if (count > 0) execvpe(arguments[0], arguments, environment.entries);
    dprintf(STDERR_FILENO, "cannot execute the command: %s", strerrordesc_np(errno));
    _exit(EX_TEMPFAIL);
}

/* ---- feeding it and listening */

struct run {
    const struct ipc_local_work *work;
    int file;
    int input, output; /* our ends */
    pid_t child;
    int process; /* pidfd, or -1 */
    struct buf pending;
    uint64_t offset; /* of the content, read so far */
    struct buf said;
    bool read_failed;
};

static void stop_feeding(struct run *run) {
    if (run->input >= 0) close(run->input);
    run->input = -1;
}

static void feed(struct run *run) {
    if (run->pending.length == 0 && run->offset < run->work->content_length) {
        uint64_t left = run->work->content_length - run->offset;
        size_t piece = left < 65536 ? (size_t)left : 65536;
        ssize_t got = pread(run->file, buf_reserve(&run->pending, piece), piece,
                            (off_t)(run->work->content_offset + run->offset));
        if (got <= 0) {
            run->read_failed = true;
            stop_feeding(run);
            return;
        }
        buf_commit(&run->pending, (size_t)got);
        run->offset += (uint64_t)got;
    }
    ssize_t written = run->pending.length ? write(run->input, run->pending.data, run->pending.length) : 0;
    if (written > 0)
        buf_remove(&run->pending, 0, (size_t)written);
    else if (written < 0 && errno != EAGAIN && errno != EINTR)
        stop_feeding(run); /* it reads no more: its own affair */
    if (run->pending.length == 0 && run->offset == run->work->content_length) stop_feeding(run);
}

/* False at the end of the output. */
static bool listen_to(struct run *run) {
    char bytes[4096];
    ssize_t got = read(run->output, bytes, sizeof bytes);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    if (got == 0) return false;
    size_t room = OUTPUT_LIMIT - run->said.length;
    buf_append_bytes(&run->said, bytes, (size_t)got < room ? (size_t)got : room);
    return true;
}

/* True when the command has ended, with its status. */
static bool converse(struct run *run, deadline until, int *wait_status) {
    bool listening = true;
    for (;;) {
        struct pollfd polled[3] = {{.fd = run->input, .events = POLLOUT},
                                   {.fd = listening ? run->output : -1, .events = POLLIN},
                                   {.fd = run->process, .events = POLLIN}};
        int64_t left = deadline_left(until);
        int pause = run->process >= 0 ? (left > 60000 ? 60000 : (int)left) : (left > 50 ? 50 : (int)left);
        if (poll(polled, 3, pause) < 0 && errno != EINTR) return false;
        if (polled[0].revents) feed(run);
        if (listening && polled[1].revents) listening = listen_to(run);
        pid_t ended = waitpid(run->child, wait_status, WNOHANG);
        if (ended == run->child) {
            for (unsigned i = 0; listening && i < 8; i++) {
                size_t before = run->said.length;
                if (!listen_to(run) || run->said.length == before) break;
            }
            return true;
        }
        if (ended < 0 && errno != EINTR) return false;
        if (left == 0) return false;
    }
}

static bool start_child(const struct config *config, struct run *run, struct worked *worked) {
    int input[2], output[2];
    if (pipe2(input, O_CLOEXEC) < 0) return worked_errno(worked, errno, "cannot make a pipe");
    if (pipe2(output, O_CLOEXEC) < 0) {
        worked_errno(worked, errno, "cannot make a pipe");
        close(input[0]);
        close(input[1]);
        return false;
    }
    run->child = fork();
    if (run->child == 0) run_child(config, run->work, input[0], output[1]);
    int reason = errno;
    close(input[0]);
    close(output[1]);
    run->input = input[1];
    run->output = output[0];
    if (run->child < 0) {
        stop_feeding(run);
        close(run->output);
        return worked_errno(worked, reason, "cannot fork");
    }
    fcntl(run->input, F_SETFL, O_NONBLOCK);
    fcntl(run->output, F_SETFL, O_NONBLOCK);
    run->process = (int)syscall(SYS_pidfd_open, run->child, 0);
    return true;
}

bool command_deliver(const struct config *config, const struct ipc_local_work *work, int file, struct worked *worked) {
    struct run run = {.work = work, .file = file, .input = -1, .output = -1, .process = -1};
    struct content content = {.work = work, .file = file};
    int wait_status = 0;
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_DFL);
    if (!start_child(config, &run, worked)) return false;
    content_append_from_line(&run.pending, work->sender, clock_date());
    content_make_prefix(&content, config);
    buf_append(&run.pending, buf_str(&content.prefix));
    buf_free(&content.prefix);
    bool ended = converse(&run, deadline_in(config->command_time_limit * 1000), &wait_status);
    if (!ended || run.read_failed) kill(-run.child, SIGKILL);
    if (!ended) {
        kill(run.child, SIGKILL); /* if it had not come to setsid yet */
        waitpid(run.child, &wait_status, 0);
        worked_set(worked, DELIVERY_DEFERRED, "4.3.0", "Command time limit exceeded: \"%.*s\"",
                   STR_ARGS(str_slice(work->target, 0, 300)));
    } else if (run.read_failed) {
        worked_set(worked, DELIVERY_DEFERRED, "4.3.0", "cannot read the queue file");
    } else {
        command_judge(work->target, wait_status, buf_str(&run.said), worked);
    }
    stop_feeding(&run);
    close(run.output);
    if (run.process >= 0) close(run.process);
    buf_free(&run.pending);
    buf_free(&run.said);
    return worked->action == DELIVERY_DELIVERED;
}
