/* ternconf -b and -t: the texts of bounces, expanded or as they are written. */
#include "ternconf.h"

#include "notice_template.h"

#define TEMPLATE_FILE_MAX ((size_t)256 * 1024)

static void print_template(const char *name, const struct bounce_template *template) {
    printf("%s_template = <<EOF\n", name);
    printf("Charset: %.*s\nFrom: %.*s\nSubject: %.*s\n", STR_ARGS(template->charset), STR_ARGS(template->from),
           STR_ARGS(template->subject));
    if (template->postmaster_subject.length > 0)
        printf("Postmaster-Subject: %.*s\n", STR_ARGS(template->postmaster_subject));
    printf("\n%.*sEOF\n\n", STR_ARGS(template->body));
}

static struct str decimal(int64_t number, struct config_number *scratch) {
    snprintf(scratch->text, sizeof(scratch->text), "%lld", (long long)number);
    return str_from(scratch->text);
}

static void print_expanded(const char *name, const struct bounce_template *template, const struct config *config) {
    struct config_number hours, days, size;
    struct buf text = buf_make(0);
    /* The same names as bounce/notice.c has. */
    const struct bounce_word words[] = {
        {"myhostname", config->myhostname},
        {"mydomain", config->mydomain},
        {"myorigin", config->myorigin},
        {"mail_name", config->mail_name},
        {"delay_warning_time_hours", decimal(config->delay_warning_time / 3600, &hours)},
        {"maximal_queue_lifetime_days", decimal(config->maximal_queue_lifetime / 86400, &days)},
        {"bounce_size_limit", decimal(config->bounce_size_limit, &size)},
    };
    bounce_template_expand(template->body, words, ARRAY_LENGTH(words), &text);
    printf("expanded_%s_text = <<EOF\n%sEOF\n\n", name, buf_string(&text));
    buf_free(&text);
}

void ternconf_bounce_templates(const struct ternconf *run, const char *file, bool expand) {
    struct bounce_templates templates;
    struct config *config = NULL;
    struct buf text = buf_make(0);
    struct failure failure = {0};
    if (!config_load(run->directory, run->overrides, run->override_count, SCOPE_ALL, &config, NULL, &failure))
        ternconf_fatal("%s", failure.text);
    /* An empty name stands for the built-in texts. */
    if (!file)
        file = config->bounce_template_file.data;
    bounce_templates_default(&templates);
    if (file[0] && (!config_read_file(file, TEMPLATE_FILE_MAX, &text, &failure) ||
                    !bounce_templates_parse(buf_str(&text), &templates, &failure)))
        ternconf_fatal("%s", failure.text);
    if (expand) {
        print_expanded("failure", &templates.failure, config);
        print_expanded("delay", &templates.delay, config);
        print_expanded("success", &templates.success, config);
        print_expanded("verify", &templates.verify, config);
    } else {
        print_template("failure", &templates.failure);
        print_template("delay", &templates.delay);
        print_template("success", &templates.success);
        print_template("verify", &templates.verify);
    }
    config_free(&config);
    buf_free(&text);
}
