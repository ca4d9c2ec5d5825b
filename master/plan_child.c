/* plan_child: the one part of master that reads files, in a process of its own
 * without privileges: main.cf, master.cf and services.def become the plan. */
#include "plan.h"

#include "config_load.h"
#include "interfaces.h"
#include "master_cf.h"
#include "memory.h"
#include "service_table.h"
#include "str.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

/* What master itself has to know of each program; its rights are in services.def. */
static const struct program {
    struct str name;
    unsigned scope; /* of its sealed configuration */
    enum plan_stop_phase stop_phase;
    bool always_runs;
    bool is_agent;
    bool speaks_lines; /* on a UNIX socket too: no IPC */
} programs[] = {
    {STR_INIT("smtpd"), SCOPE_SMTPD, PLAN_STOP_INTAKE, false, false, true},
    {STR_INIT("pickup"), SCOPE_PICKUP, PLAN_STOP_INTAKE, false, false, false},
    {STR_INIT("qmgr"), SCOPE_QMGR, PLAN_STOP_QUEUE, true, false, false},
    {STR_INIT("local"), SCOPE_LOCAL, PLAN_STOP_AGENTS, false, true, false},
    {STR_INIT("smtp"), SCOPE_SMTP, PLAN_STOP_AGENTS, false, true, false},
    {STR_INIT("bounce"), SCOPE_BOUNCE, PLAN_STOP_AGENTS, false, false, false},
    {STR_INIT("cleanup"), SCOPE_CLEANUP, PLAN_STOP_CLEANUP, false, false, false},
    {STR_INIT("lookup"), SCOPE_LOOKUP, PLAN_STOP_LOOKUP, true, false, false},
    {STR_INIT("log"), SCOPE_LOG, PLAN_STOP_LOG, true, false, false},
};

/* Postfix's programs under other names here, so that its master.cf can be used. */
static const struct {
    struct str name, ours;
} synonyms[] = {
    {STR_INIT("lmtp"), STR_INIT("smtp")},
    {STR_INIT("virtual"), STR_INIT("local")},
    {STR_INIT("postlogd"), STR_INIT("log")},
};

/* Services that the others cannot do without, for a master.cf that was Postfix's. */
static const struct {
    struct str name;
    const char *process_limit;
} required[] = {
    {STR_INIT("cleanup"), "0"}, {STR_INIT("qmgr"), "1"}, {STR_INIT("bounce"), "-"},
    {STR_INIT("lookup"), "-"},  {STR_INIT("log"), "1"},
};

struct reader {
    int socket;
    const char *config_directory; /* its name, for messages */
    const char *opened;           /* by which it can be reached without privileges */
    struct config_system system_words;
};

static void say(const struct reader *reader, enum plan_packet_type type, const char *text) {
    struct plan_packet *packet = MEMORY_NEW(struct plan_packet);
    packet->type = type;
    snprintf(packet->u.text, sizeof packet->u.text, "%s", text);
    (void)!plan_send(reader->socket, packet, -1);
    MEMORY_FREE(packet);
}
