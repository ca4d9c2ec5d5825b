/* ternconf: shows and edits main.cf and master.cf, with postconf's options and
 * output. This file reads the options and picks the work. */
#include "ternconf.h"

#include <errno.h>
#include <unistd.h>

#include "main_cf.h"
#include "memory.h"
#include "table_types.h"

void ternconf_table_types(void) {
    for (size_t i = 0; i < table_types_count; i++)
        printf("%.*s\n", STR_ARGS(table_types[i].name));
}

/* ---- options */

static NO_RETURN void usage(void) {
    fprintf(stderr,
            "usage: ternconf [-dehfHjnpqvxX#] [-c directory] [-C class,...] [-o name=value] [name...]\n"
            "       ternconf -e | -X | -# [-c directory] name=value... | name...\n"
            "       ternconf -M | -F | -P [-efHhjxX#] [-c directory] [service[/type[/name]][=value]...]\n"
            "       ternconf -a | -A | -l | -m | -b [file] | -t [file]\n"
            "       ternconf -T compile-version | run-version | public-key-algorithms\n");
    exit(EXIT_FAILURE);
}

static unsigned class_named(struct str name) {
    if (str_equal(name, STR("builtin")))
        return CLASS_BUILTIN;
    if (str_equal(name, STR("service")))
        return CLASS_SERVICE;
    if (str_equal(name, STR("user")))
        return CLASS_USER;
    if (str_equal(name, STR("all")))
        return CLASS_ALL;
    ternconf_fatal("\"%.*s\" is no class; builtin, service, user or all belongs after -C", STR_ARGS(name));
}

static void read_classes(struct ternconf *run, const char *argument) {
    struct str rest = str_from(argument), word;
    while (str_next_word(&rest, ", \t", &word))
        run->classes |= class_named(word);
}

static void read_override(struct ternconf *run, const char *argument) {
    struct failure failure = {0};
    if (run->override_count == OVERRIDES_MAX)
        ternconf_fatal("more than %d times -o", OVERRIDES_MAX);
    struct config_override *override = &run->overrides[run->override_count];
    if (!main_cf_split(str_from(argument), &override->name, &override->value, &failure))
        ternconf_fatal("-o: %s", failure.text);
    run->override_count++;
}

/* What needs neither main.cf nor names. */
enum other_work {
    WORK_NONE,
    WORK_LOCKS,
    WORK_TABLES,
    WORK_TEMPLATES,
    WORK_TEMPLATES_EXPANDED,
    WORK_SERVER_SASL,
    WORK_CLIENT_SASL,
    WORK_TLS,
};

static enum other_work read_options(struct ternconf *run, int count, char **arguments) {
    enum other_work work = WORK_NONE;
    int option;
    while ((option = getopt(count, arguments, "aAbc:C:deEfFhHjlmMno:pPqtT:vxX#")) != -1)
        switch (option) {
        case 'a': work = WORK_SERVER_SASL; break;
        case 'A': work = WORK_CLIENT_SASL; break;
        case 'b': work = WORK_TEMPLATES_EXPANDED; break;
        case 'c': run->directory = optarg; break;
        case 'C': read_classes(run, optarg); break;
        case 'd': run->defaults = true; break;
        case 'e': run->edit = true; break;
        case 'f': run->fold = true; break;
        case 'F': run->fields = true; break;
        case 'h': run->no_names = true; break;
        case 'H': run->no_values = true; break;
        case 'j': run->json = true; break;
        case 'l': work = WORK_LOCKS; break;
        case 'm': work = WORK_TABLES; break;
        case 'M': run->services = true; break;
        case 'n': run->explicit_only = true; break;
        case 'o': read_override(run, optarg); break;
        case 'p': run->main_cf = true; break;
        case 'P': run->service_parameters++; break;
        case 'q': run->quiet = true; break;
        case 't': work = WORK_TEMPLATES; break;
        case 'T': work = WORK_TLS; run->tls_mode = optarg; break;
        case 'v': break;
        case 'x': run->expand = true; break;
        case 'X': run->remove = true; break;
        case '#': run->comment_out = true; break;
        default: usage();
        }
    run->arguments = arguments + optind;
    run->argument_count = (size_t)(count - optind);
    return work;
}

static void check_options(const struct ternconf *run) {
    if (run->edit + run->remove + run->comment_out > 1)
        ternconf_fatal("specify one of -e -X -#");
    if (run->main_cf + run->services + run->fields + (run->service_parameters > 0) > 1)
        ternconf_fatal("specify one of -p -M -F -P");
    if (run->defaults && run->explicit_only)
        ternconf_fatal("specify one of -d -n");
    if (run->no_names && run->no_values)
        ternconf_fatal("specify one of -h -H");
    if (run->services && (run->no_names || run->no_values))
        ternconf_fatal("with -M, do not specify -%c", run->no_names ? 'h' : 'H');
    if (run->expand && (run->edit || run->remove || run->comment_out))
        ternconf_fatal("specify one of -x -%c", run->edit ? 'e' : run->remove ? 'X' : '#');
    if (run->fields && (run->remove || run->comment_out))
        ternconf_fatal("with -F, do not specify -%c", run->remove ? 'X' : '#');
    if (run->service_parameters && run->comment_out)
        ternconf_fatal("with -P, do not specify -#");
    if ((run->edit || run->remove || run->comment_out) && run->argument_count == 0)
        ternconf_fatal("nothing to edit");
}

/* -e is implied by an argument with =. */
static bool is_edit(const struct ternconf *run) {
    if (run->edit || run->remove || run->comment_out)
        return true;
    for (size_t i = 0; i < run->argument_count; i++)
        if (str_find(str_from(run->arguments[i]), '=') != STR_NONE)
            return true;
    return false;
}

static void do_other(const struct ternconf *run, enum other_work work) {
    const char *file = run->argument_count > 0 ? run->arguments[0] : NULL;
    switch (work) {
    case WORK_LOCKS:
        printf("flock\nfcntl\ndotlock\n");
        break;
    case WORK_TABLES:
        ternconf_table_types();
        break;
    case WORK_TEMPLATES:
    case WORK_TEMPLATES_EXPANDED:
        ternconf_bounce_templates(run, file, work == WORK_TEMPLATES_EXPANDED);
        break;
    case WORK_SERVER_SASL: /* of smtpd_sasl_type, and of smtp_sasl_type */
        printf("dovecot\ntern\n");
        break;
    case WORK_CLIENT_SASL:
        printf("cyrus\n");
        break;
    case WORK_TLS:
        ternconf_tls(run->tls_mode);
        break;
    case WORK_NONE:
        break;
    }
}

static void do_work(struct ternconf *run) {
    bool edit = is_edit(run);
    if (run->services)
        (edit ? ternconf_edit_services : ternconf_show_services)(run);
    else if (run->fields)
        (edit ? ternconf_edit_fields : ternconf_show_fields)(run);
    else if (run->service_parameters)
        (edit ? ternconf_edit_service_parameters : ternconf_show_service_parameters)(run);
    else
        (edit ? ternconf_edit_main : ternconf_show_main)(run);
}

int main(int count, char **arguments) {
    struct ternconf *run = MEMORY_NEW(struct ternconf);
    run->directory = config_default_directory();
    enum other_work work = read_options(run, count, arguments);
    check_options(run);
    if (run->classes == 0)
        run->classes = CLASS_ALL;
    buf_printf(&run->main_path, "%s/main.cf", run->directory);
    buf_printf(&run->master_path, "%s/master.cf", run->directory);

    if (work != WORK_NONE)
        do_other(run, work);
    else
        do_work(run);
    int status = fflush(stdout) == 0 && !ferror(stdout) ? run->status : EXIT_FAILURE;
    buf_free(&run->main_path);
    buf_free(&run->master_path);
    MEMORY_FREE(run);
    return status;
}
