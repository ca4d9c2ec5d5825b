/* The rows of services.def as data. */
#include "service_table.h"

/* The definition's words for users, in small letters as the accounts have them. */
#define USER_ROOT "root"
#define USER_SMTPD "smtpd"
#define USER_SMTP "smtp"
#define USER_QUEUE "queue"
#define USER_BOUNCE "bounce"
#define USER_PICKUP "pickup"
#define USER_LOOKUP "lookup"
#define USER_LOG "log"
#define USER_FETCH "fetch"
#define USER_TLSRPT "tlsrpt"
#define USER_KEYS "keys"
#define USER_AUTH "auth"
#define USER_PAM "pam"
#define USER_IMAPD "imapd"
#define USER_POP3D "pop3d"

#define SERVICE(NAME, program, user, root, rights, peers, descriptors, memory_mib, job)                                \
    {#program, USER_##user, ROOT_##root, rights, peers, descriptors, memory_mib, job},
static const struct service_row rows[] = {
#include "services.def"
};
#undef SERVICE

const struct service_row *service_rows(size_t *count) {
    *count = ARRAY_LENGTH(rows);
    return rows;
}

const struct service_row *service_row_find(struct str program) {
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++)
        if (str_equal(program, str_from(rows[i].program))) return &rows[i];
    return NULL;
}

bool service_row_has_peer(const struct service_row *row, struct str name) {
    struct str rest = str_from(row->peers);
    struct str word;
    while (str_next_word(&rest, " ", &word))
        if (str_equal(word, name) || str_equal(word, STR("*agents"))) return true;
    return false;
}
