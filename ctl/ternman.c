/* ternman: writes from tern's tables what people read about them.
 *
 *   ternman manual     the page tern-main.cf(5), in mdoc, from the table of parameters
 *   ternman defaults   a main.cf in which every default stands as a comment
 *   ternman messages   the page tern-ipc(7), in mdoc (ternman_service.c)
 *   ternman services   the page tern-services(7), in mdoc (ternman_service.c) */
#include "ternman.h"
#include "ternman_text.h"
#include "buf.h"
#include "config_edit.h"
#include "parameter.h"

static void put(struct str text) {
    fwrite(text.data, 1, text.length, stdout);
}

static bool is_section_start(size_t row, struct str *title) {
    for (size_t i = 0; i < parameter_section_count; i++)
        if (parameter_sections[i].first == row) {
            *title = parameter_sections[i].title;
            return true;
        }
    return false;
}

/* ---- the manual */

static const char manual_head[] =
    ".\\\" Made by ternman from lib/config/parameters.def.\n"
    ".Dd $Mdocdate$\n.Dt TERN-MAIN.CF 5\n.Os tern\n"
    ".Sh NAME\n.Nm main.cf\n.Nd parameters of the tern mail system\n"
    ".Sh DESCRIPTION\n"
    "The file\n.Pa main.cf\nsets parameters, one on a line:\n"
    ".Bd -literal -offset indent\nname = value\n.Ed\n.Pp\n"
    "A line that begins with white space continues the one before.\n"
    "Empty lines and lines whose first character is # are comments.\n"
    "Of several settings of one name the last one counts.\n"
    "What is not set has its default.\n"
    ".Pp\n"
    "A value may refer to other parameters, its own ones of\n.Pa main.cf\nincluded:\n"
    ".Bl -tag -width Ds\n"
    ".It Li $name , ${name} , $(name)\nThe value of that parameter.\n"
    ".It Li ${name?text} , ${name?{text}}\nThe text, if the value is not empty.\n"
    ".It Li ${name:text} , ${name:{text}}\nThe text, if the value is empty.\n"
    ".It Li ${name?{text1}:{text2}}\nOne or the other.\n"
    ".It Li ${{text1} == {text2} ? {text3} : {text4}}\n"
    "A comparison by ==, !=, <, <=, > or >=: as numbers if both sides are, else as text.\n"
    "With \"level\" after the operator versions are compared.\n"
    ".It Li $$\nA dollar sign.\n"
    ".El\n.Pp\n"
    "Times are numbers with s, m, h, d or w (seconds to weeks); without it, they are in the unit of the default.\n"
    "Lists are parted by commas or white space.\n"
    "Tables are written\n.Ar type : Ns Ar name ;\nsee\n.Xr tern-tables 5 .\n"
    "A line of\n.Pa master.cf\ncan set a parameter for one service alone.\n";

static const char manual_tail[] =
    ".Sh SETTINGS OF ONE TRANSPORT\n"
    "For every delivery service of\n.Pa master.cf ,\n"
    "its name and one of these suffixes make a parameter, whose default is the general one:\n"
    ".Bl -tag -width Ds\n";

static const char manual_end[] =
    ".El\n"
    ".Sh SEE ALSO\n.Xr ternconf 1 ,\n.Xr tern-master.cf 5 ,\n.Xr tern-tables 5 ,\n.Xr tern 8\n";

static void put_bounds(const struct parameter *row) {
    if (row->type == PARAMETER_CHOICE) {
        printf(" ");
        put_mdoc(row->choices);
    }
    if (row->type != PARAMETER_NUMBER && row->type != PARAMETER_TIME && row->type != PARAMETER_SIZE)
        return;
    printf(" from %lld", (long long)row->minimum);
    if (row->maximum < PARAMETER_COUNT_MAX)
        printf(" to %lld%s", (long long)row->maximum, row->type == PARAMETER_TIME ? " seconds" : "");
}

/* What is found out from the machine has no default in the table. */
static struct str shown_default(const struct parameter *row) {
    static const struct str from_machine[] = {STR_INIT("myhostname"), STR_INIT("mydomain"), STR_INIT("mynetworks"),
                                              STR_INIT("config_directory")};
    for (size_t i = 0; i < ARRAY_LENGTH(from_machine); i++)
        if (str_equal(from_machine[i], row->name))
            return STR("see below");
    return row->value.length > 0 ? row->value : STR("empty");
}

static void put_row(const struct parameter *row) {
    printf(".It Sy ");
    put_mdoc(row->name);
    printf(" Pq default: ");
    put_argument(shown_default(row));
    putchar('\n');
    put_sentences(row->doc);
    printf("\n.br\nType: ");
    put(parameter_type_words(row->type));
    put_bounds(row);
    printf(".%s%s\n", row->scope & PARAMETER_OWN ? "\nNot in Postfix." : "",
           row->scope & PARAMETER_LATER ? "\nWithout effect so far." : "");
}

static void write_manual(void) {
    struct str title;
    fputs(manual_head, stdout);
    for (size_t i = 0; i < parameter_count; i++) {
        if (is_section_start(i, &title)) {
            if (i > 0)
                printf(".El\n");
            printf(".Sh ");
            for (size_t j = 0; j < title.length; j++)
                putchar(ascii_upper(title.data[j]));
            printf("\n.Bl -tag -width Ds\n");
        }
        put_row(&parameter_table[i]);
    }
    printf(".El\n");
    fputs(manual_tail, stdout);
    for (size_t i = 0; i < transport_parameter_count; i++) {
        printf(".It Ar name Ns _%.*s Pq default: $%.*s\n", STR_ARGS(transport_parameter_table[i].suffix),
               STR_ARGS(transport_parameter_table[i].fallback));
        printf("As that parameter, for this transport.\n");
    }
    fputs(manual_end, stdout);
}

/* ---- the default file */

static void put_comment(struct str text) {
    struct buf folded = buf_make(0);
    struct str rest, line;
    config_fold(text, 4, &folded);
    rest = buf_str(&folded);
    while (str_next_word(&rest, "\n", &line))
        printf("#   %.*s\n", STR_ARGS(str_trim(line)));
    buf_free(&folded);
}

static void write_defaults(void) {
    struct str title;
    printf("# Every parameter of tern with its default. To change one, set it in main.cf; see tern-main.cf(5).\n"
           "# ternconf -d prints the defaults, ternconf -n what main.cf sets.\n");
    for (size_t i = 0; i < parameter_count; i++) {
        if (is_section_start(i, &title))
            printf("\n# ---- %.*s\n", STR_ARGS(title));
        putchar('\n');
        put_comment(parameter_table[i].doc);
        printf("#%.*s =%s%.*s\n", STR_ARGS(parameter_table[i].name), parameter_table[i].value.length > 0 ? " " : "",
               STR_ARGS(parameter_table[i].value));
    }
}

int main(int count, char **arguments) {
    struct str page = count == 2 ? str_from(arguments[1]) : STR_EMPTY;
    bool good = true;
    if (str_equal(page, STR("manual"))) {
        write_manual();
    } else if (str_equal(page, STR("defaults"))) {
        write_defaults();
    } else if (str_equal(page, STR("messages"))) {
        write_messages();
    } else if (str_equal(page, STR("services"))) {
        good = write_services();
        if (!good) fprintf(stderr, "ternman: a service has a right that ternman_service.c has no name for\n");
    } else {
        fprintf(stderr, "usage: ternman manual | defaults | messages | services\n");
        return EXIT_FAILURE;
    }
    return good && fflush(stdout) == 0 && !ferror(stdout) ? EXIT_SUCCESS : EXIT_FAILURE;
}
