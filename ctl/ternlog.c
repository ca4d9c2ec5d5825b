/* ternlog: puts lines of a script into the mail log. Also called postlog. */
#include "log_writer.h"
#include "queue_tool.h"
#include "buf.h"
#include <sysexits.h>
#include <unistd.h>

#define LINE_LIMIT ((size_t)1800) /* bytes of a line; longer ones are cut */

static const struct priority {
    const char *name, *prefix;
    unsigned severity; /* syslog's number */
    bool pause;        /* whoever says this in a loop shall not fill the disk */
} priorities[] = {
    {"info", "", 6, false},         {"warn", "warning: ", 4, false}, {"warning", "warning: ", 4, false},
    {"error", "error: ", 3, false}, {"fatal", "fatal: ", 2, true},   {"panic", "panic: ", 2, true},
};

struct lines {
    const struct queue_tool *tool;
    struct log_writer writer;
    const struct priority *priority;
    const char *tag;
    bool in_log;
};

static const struct priority *find_priority(const char *name) {
    for (size_t i = 0; i < ARRAY_LENGTH(priorities); i++)
        if (strcmp(priorities[i].name, name) == 0) return &priorities[i];
    return NULL;
}

static void put(struct lines *lines, struct str text) {
    struct failure failure = {0};
    struct buf line = buf_make(0), shown = buf_make(0);
    buf_append(&line, str_from(lines->priority->prefix));
    buf_append(&line, str_slice(text, 0, LINE_LIMIT));
    queue_tool_printable(&shown, buf_str(&line));
    fprintf(stderr, "%s: %s\n", lines->writer.tag, buf_string(&shown));
    if (lines->in_log && !log_writer_write(&lines->writer, lines->priority->severity, buf_str(&line), &failure)) {
        queue_tool_warn(lines->tool, "%s", failure.text);
        lines->in_log = false;
    }
    buf_free(&line);
    buf_free(&shown);
}

static void put_words(struct lines *lines, int count, char **words) {
    struct buf text = buf_make(0);
    for (int i = 0; i < count; i++) {
        if (i > 0) buf_append_char(&text, ' ');
        buf_append(&text, str_from(words[i]));
    }
    put(lines, buf_str(&text));
    buf_free(&text);
}

/* What does not fit is read over, so that memory is bounded. */
static void put_input(struct lines *lines) {
    struct buf text = buf_make(LINE_LIMIT);
    int c;
    while ((c = getc_unlocked(stdin)) != EOF) {
        if (c != '\n') {
            buf_append_char(&text, (char)c);
            continue;
        }
        put(lines, buf_str(&text));
        buf_clear(&text);
    }
    if (text.length) put(lines, buf_str(&text));
    buf_free(&text);
}

static int read_options(struct queue_tool *tool, struct lines *lines, int count, char **words) {
    for (int letter; (letter = getopt(count, words, "+c:ip:t:v")) != -1;) {
        switch (letter) {
        case 'c':
            tool->config_directory = optarg;
            break;
        case 'i':
            break; /* the pid is always there */
        case 'p':
            lines->priority = find_priority(optarg);
            if (!lines->priority)
                return queue_tool_fatal(tool, EX_USAGE, "unknown priority \"%s\": info, warn, error, fatal, panic",
                                        optarg);
            break;
        case 't':
            lines->tag = optarg;
            break;
        case 'v':
            tool->verbose = true;
            break;
        default:
            return queue_tool_fatal(
                tool, EX_USAGE, "usage: %s [-c directory] [-i] [-p priority] [-t tag] [-v] [text...]", tool->program);
        }
    }
    return EX_OK;
}

int main(int count, char **words) {
    struct queue_tool tool = {.program = queue_tool_name(words[0])};
    struct lines lines = {.tool = &tool, .priority = &priorities[0]};
    struct failure failure = {0};
    int status = read_options(&tool, &lines, count, words);
    if (status == EX_OK) status = queue_tool_load_config(&tool);
    if (status == EX_OK) {
        lines.in_log = log_writer_open(&lines.writer, tool.config, tool.program, str_from(lines.tag), &failure);
        if (!lines.in_log) queue_tool_warn(&tool, "not in the log: %s", failure.text);
        if (optind < count)
            put_words(&lines, count - optind, words + optind);
        else
            put_input(&lines);
        if (lines.priority->pause) sleep(1);
        if (!lines.in_log) status = EX_NOPERM;
    }
    if (lines.writer.is_open) log_writer_close(&lines.writer);
    config_free(&tool.config);
    return status;
}
