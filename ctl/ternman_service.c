/* ternman: the pages that come from the tables of services and of IPC messages. */
#include "ternman.h"
#include "ternman_text.h"
#include "ipc_codec.h"
#include "service_table.h"

static void put_text(const char *text) {
    put_mdoc(str_from(text));
}

/* ---- tern-ipc(7) */

static const char messages_head[] =
    ".\\\" Made by ternman from lib/service/ipc_messages.def.\n"
    ".Dd $Mdocdate$\n.Dt TERN-IPC 7\n.Os tern\n"
    ".Sh NAME\n.Nm tern-ipc\n.Nd the messages between the processes of the tern mail system\n"
    ".Sh DESCRIPTION\n"
    "The processes of\n.Xr tern 8\n"
    "talk over UNIX sockets of the type SOCK_SEQPACKET: one packet is one message, with the descriptor that it\n"
    "carries.\n"
    "A daemon asks\n.Xr tern-master 8\n"
    "for a connection to another service and gets it as a descriptor;\n.Xr tern-services 7\n"
    "says who may ask for whom.\n"
    "Programs of the command line connect to the sockets in\n.Pa queue_directory/public .\n"
    ".Pp\n"
    "A packet is, in the machine's byte order: 2 bytes type (the number in the headings below), 2 bytes format,\n"
    "4 bytes serial number, 4 bytes length of the whole packet, and the fields in their order.\n"
    "An answer has the serial number of its request; many requests may be under way on one connection.\n"
    "A request with the serial number 0 gets no answer.\n"
    "A packet takes %zu bytes at most.\n"
    ".Bl -tag -width number\n"
    ".It text\n4 bytes length, and the bytes.\n"
    ".It number\n7 bits a byte, low ones first; the high bit says that more follow.\n"
    ".It flag\n1 byte, 0 or 1.\n"
    ".It list\n4 bytes number of rows, 4 bytes length, and the fields of the rows.\n"
    ".El\n.Pp\n"
    "Every bound is checked, and bytes left over are refused.\n"
    "A peer that sends what does not decode loses its connection.\n"
    "A connection that master made begins with the message hello, which says who calls; a process that was built from\n"
    "another version of the table is refused.\n"
    "This one is\n.Li ";

static const char messages_end[] =
    ".Sh SEE ALSO\n.Xr tern-queue 5 ,\n.Xr tern-services 7 ,\n.Xr tern 8 ,\n.Xr tern-master 8\n";

/* Where the table's sections begin. */
static const struct {
    enum ipc_type first;
    const char *title;
} message_sections[] = {
    {IPC_HELLO, "On every connection"},        {IPC_READY, "A process and master"},
    {IPC_CLEANUP_OPEN, "To cleanup"},          {IPC_QMGR_NEW, "To qmgr"},
    {IPC_DELIVER, "From qmgr to the agents"},  {IPC_BOUNCE_SEND, "From qmgr to bounce"},
    {IPC_LOOKUP_RESOLVE, "To lookup"},         {IPC_PICKUP_SUBMIT, "From the sendmail command to pickup"},
    {IPC_LOCAL_WORK, "Inside local"},          {IPC_CONNECT_PATH, "A process and master, later additions"},
    {IPC_KEYS_CHAINS, "To keys"},              {IPC_AUTH_MECHANISMS, "To auth"},
    {IPC_PAM_CHECK, "To pam"},                 {IPC_STS_POLICY, "To fetch"},
    {IPC_TLSRPT_RESULT, "To tlsrpt"},          {IPC_LOOKUP_CREDENTIALS, "From smtp to lookup"},
    {IPC_LOGIN_USE, "What accounts send"},     {IPC_MAILBOX_ADMIT, "To mailbox, and to its sessions"},
};

static void put_field(const struct ipc_field *field) {
    unsigned long long maximum = field->maximum;
    printf(".It Sy ");
    put_text(field->name);
    switch (field->kind) {
    case IPC_FIELD_TEXT: printf(" Pq text, at most %llu bytes\n", maximum); break;
    case IPC_FIELD_NUMBER:
        if (field->maximum == UINT64_MAX) printf(" Pq number\n");
        else printf(" Pq number, at most %llu\n", maximum);
        break;
    case IPC_FIELD_FLAG: printf(" Pq flag\n"); break;
    case IPC_FIELD_LIST:
        printf(" Pq list of %s, at most %llu bytes\n", ipc_row_layout(field->row)->name, maximum);
        break;
    }
    put_sentences(str_from(field->meaning));
    putchar('\n');
}

static void put_layout(const struct ipc_layout *layout) {
    put_sentences(str_from(layout->meaning));
    printf(".\n");
    if (layout->descriptors == 1) printf("Carries a descriptor.\n");
    if (layout->descriptors == 2) printf("May carry a descriptor.\n");
    if (layout->count == 0) {
        printf("No fields.\n");
        return;
    }
    printf(".Bl -tag -width Ds -compact\n");
    for (size_t i = 0; i < layout->count; i++) put_field(&layout->fields[i]);
    printf(".El\n");
}

/* A section begins here, or a paragraph. */
static void put_start(enum ipc_type type) {
    for (size_t i = 0; i < ARRAY_LENGTH(message_sections); i++)
        if (message_sections[i].first == type) {
            printf(".Ss %s\n", message_sections[i].title);
            return;
        }
    printf(".Pp\n");
}

void write_messages(void) {
    printf(messages_head, IPC_PACKET_LIMIT);
    put_mdoc(ipc_version());
    printf(" .\n.Sh MESSAGES\n");
    for (enum ipc_type type = IPC_NOTHING + 1; type < IPC_TYPE_COUNT; type++) {
        const struct ipc_layout *layout = ipc_message_layout(type);
        put_start(type);
        printf("%d.\n.Sy %s\n.br\n", (int)type, layout->name);
        put_layout(layout);
    }
    printf(".Sh ROWS\nWhat the lists hold.\n");
    for (enum ipc_row_type type = 0; type < IPC_ROW_COUNT; type++) {
        const struct ipc_layout *layout = ipc_row_layout(type);
        printf(".Pp\n.Sy %s\n.br\n", layout->name);
        put_layout(layout);
    }
    fputs(messages_end, stdout);
}

/* ---- tern-services(7) */

static const char services_head[] =
    ".\\\" Made by ternman from lib/service/services.def.\n"
    ".Dd $Mdocdate$\n.Dt TERN-SERVICES 7\n.Os tern\n"
    ".Sh NAME\n.Nm tern-services\n.Nd the processes of the tern mail system and what each may do\n"
    ".Sh DESCRIPTION\n"
    "Every program that\n.Xr tern-master 8\n"
    "starts has a row in one table, which no configuration changes.\n"
    "The process applies its row before it reads the first byte from outside: account, root directory, limits,\n"
    "capabilities (none, but for local and mailbox those of becoming others), no new privileges, rules of Landlock\n"
    "where the kernel has them, and a system call filter.\n"
    "A system call that the row does not allow fails; the worst of them kill the process.\n"
    ".Pp\n"
    "Accounts are named after\n.Va mail_owner ;\n"
    "the names here are those of its default.\n"
    "In an instance that was not started by root nobody changes account or root directory, and what is left is\n"
    "Landlock, the limits and the filter.\n"
    ".Pp\n"
    "Besides there are processes that these make before they lock themselves in, and which their pages describe:\n"
    "keys-reader\n.Pq Xr tern-keys 8 ,\npam-checker\n.Pq Xr tern-pam 8 ,\n"
    "local-worker and local-commands\n.Pq Xr tern-local 8 ,\nand a session for each user\n.Pq Xr tern-mailbox 8 .\n";

static const char services_end[] =
    ".Sh SEE ALSO\n.Xr tern-master.cf 5 ,\n.Xr tern-ipc 7 ,\n.Xr tern 8 ,\n.Xr tern-master 8\n";

static const struct {
    unsigned right;
    const char *name, *meaning;
} right_names[] = {
    {RIGHT_ACCEPT, "accept", "take connections from the sockets it was given"},
    {RIGHT_NETWORK, "network", "make connections by IPv4 and IPv6"},
    {RIGHT_FILES, "files",
     "open, make, name and remove files beneath its root directory; where that is /, only local and mailbox may write"},
    {RIGHT_THREADS, "threads", "helper threads"},
    {RIGHT_MAP_FILES, "map files", "map files into memory (LMDB)"},
    {RIGHT_FORK, "fork", "make processes, execute programs, signal its children"},
    {RIGHT_BECOME, "become", "change user and groups, give files away"},
    {RIGHT_SYSLOG, "syslog", "a datagram socket to the system's log"},
    {RIGHT_LOCAL_SOCKETS, "local sockets",
     "connect to UNIX sockets: of databases, directories, Dovecot, the system's account services"},
    {RIGHT_NAMED_SOCKETS, "named sockets", "be connected, by master, to the UNIX sockets that the configuration names"},
    {RIGHT_PAIRS, "socket pairs", "make pairs of sockets, one side of which is lent"},
};

static const char *root_words(enum service_root root) {
    switch (root) {
    case ROOT_SLASH: return "/";
    case ROOT_EMPTY: return "an empty one, queue_directory/empty";
    case ROOT_QUEUE: return "queue_directory/queue";
    case ROOT_DROP: return "queue_directory/maildrop";
    case ROOT_LOGS: return "the folder of maillog_file; else the empty one";
    case ROOT_FETCH: return "data_directory/fetch";
    case ROOT_TLSRPT: return "data_directory/tlsrpt";
    }
    return "";
}

/* False if there is a right in the row that the names above do not have. */
static bool put_rights(unsigned rights) {
    unsigned left = rights;
    for (size_t i = 0; i < ARRAY_LENGTH(right_names); i++) {
        if (!(rights & right_names[i].right)) continue;
        printf("%s%s", left == rights ? "" : ", ", right_names[i].name);
        left &= ~right_names[i].right;
    }
    putchar('\n');
    return left == 0;
}

static void put_peers(const char *peers) {
    struct str rest = str_from(peers), word;
    if (rest.length == 0) printf("nobody");
    for (bool first = true; str_next_word(&rest, " ", &word); first = false) {
        if (!first) printf(", ");
        if (str_equal(word, STR("*agents"))) printf("every transport");
        else put_mdoc(word);
    }
    putchar('\n');
}

static bool put_service(const struct service_row *row) {
    printf(".Ss %s\n", row->program);
    put_sentences(str_from(row->job));
    printf(".\n.Pp\n.Bl -tag -width \"root directory\" -compact\n");
    printf(".It account\n%s%s\n", strcmp(row->user, "root") == 0 ? "" : "tern\\-", row->user);
    printf(".It root directory\n");
    put_text(root_words(row->root));
    printf("\n.It rights\n");
    bool good = put_rights(row->rights);
    printf(".It may ask\n");
    put_peers(row->peers);
    printf(".It descriptors\n%u, or 64 more than its sessions if that is more\n", row->descriptors);
    printf(".It memory\n%u MiB, and the address space of its stacks\n.El\n", row->memory_mib);
    return good;
}

bool write_services(void) {
    size_t count;
    bool good = true;
    const struct service_row *rows = service_rows(&count);
    fputs(services_head, stdout);
    printf(".Ss Rights\n.Bl -tag -width \"named sockets\" -compact\n");
    for (size_t i = 0; i < ARRAY_LENGTH(right_names); i++) {
        printf(".It %s\n", right_names[i].name);
        put_text(right_names[i].meaning);
        putchar('\n');
    }
    printf(".El\n.Sh SERVICES\n");
    for (size_t i = 0; i < count; i++) good = put_service(&rows[i]) && good;
    fputs(services_end, stdout);
    return good;
}
