/* One recipient, through aliases, lists and .forward files to its ends.
 *
 * Mailboxes, files and commands are delivered to as they are met; addresses elsewhere
 * are collected and get one copy of the message at the end, and only if nothing before
 * was deferred: a deferred recipient is tried again as a whole. Each end has its line in
 * the log; qmgr gets one outcome, the worst.
 *
 * Of a probe the first answer is the last: that it is an alias, that a .forward file would
 * expand it, that it has a mailbox. Nothing is written, run or sent. */
#include <errno.h>

#include "address.h"
#include "delivery_log.h"
#include "hash.h"
#include "local.h"
#include "log.h"

#define LOOKUP_PATIENCE ((int64_t)60 * 1000)
#define TEXT_MAX        ((size_t)1000)      /* of an outcome */
#define STACK_RESERVE   ((size_t)80 * 1024) /* for all that is called on the way down from one address to its members */

/* Whose rights and whose words: the alias, list or .forward that is being expanded. */
enum origin { ORIGIN_ALIAS, ORIGIN_FORWARD, ORIGIN_INCLUDE };

struct owner {
    uint32_t uid, gid;
    struct str user, home;
};

/* The way by which an address was reached; on the stack. */
enum way_kind { WAY_ALIAS, WAY_USER, WAY_INCLUDE };
struct way {
    const struct way *from;
    enum way_kind kind;
    struct str name; /* alias (without a domain: all local domains are one), user, file */
};

struct forwarded {
    struct str sender; /* as the alias's owner has it, or the message's */
    bool owned;
    struct ipc_recipient *recipients;
    size_t count, room;
    struct forwarded *next;
};

struct walk {
    struct local *local;
    const struct ipc_deliver *request;
    int file;
    const struct ipc_recipient *recipient;
    struct arena *arena;
    struct str relay;
    int64_t started;
    struct map *seen; /* what was delivered to or expanded, by key */
    struct forwarded *forwards;
    size_t members; /* all that were met */
    size_t ends;    /* that were here */
    bool expanded, checked;
    bool list; /* the recipient is an alias with an owner: RFC 3461 calls that a mailing list */
    struct ipc_outcome *outcome;
    bool said; /* outcome is set */
};

static void deliver_address(struct walk *walk, struct str address, bool mailbox_only, const struct way *way,
                            struct str sender, bool owned);

/* ---- outcomes */

static unsigned badness(uint64_t action) {
    return action == DELIVERY_DEFERRED ? 2 : action == DELIVERY_FAILED ? 1 : 0;
}

static struct str keep(struct walk *walk, struct str text) {
    struct str kept = STR_EMPTY;
    return arena_copy(walk->arena, text, &kept) ? kept : STR("out of memory");
}

/* What became of one end; logged, and remembered if it is the worst so far. */
NO_INLINE static void say(struct walk *walk, struct str address, unsigned action, struct str status, struct str text) {
    const struct config *config = walk->local->config;
    bool top = str_equal(address, walk->recipient->address);
    struct str original = walk->recipient->original;
    if (!top && original.length == 0) original = walk->recipient->address;
    int64_t now = clock_date();
    struct ipc_outcome outcome = {
        .index = walk->recipient->index,
        .action = action,
        .status = status,
        .text = str_slice(keep(walk, text), 0, TEXT_MAX),
        .relay = walk->relay,
        .transmission_ms = (uint64_t)((now > walk->started ? now - walk->started : 0) / 1000),
        .connection_use = 1,
    };
    struct delivery_times times = {(int64_t)walk->request->arrival, (int64_t)walk->request->activated, walk->started,
                                   STR_EMPTY};
    char soft_status[DELIVERY_STATUS_SIZE];
    bool probe = walk->request->probe;
    delivery_log(config, walk->request->queue_id, &times, address, original, &outcome, probe);
    /* Here, not only in qmgr: nothing is sent on while a recipient is to be tried again. */
    if (!probe && delivery_soften(config, &outcome, soft_status)) outcome.status = keep(walk, outcome.status);
    walk->ends++;
    if (walk->said && badness(walk->outcome->action) >= badness(outcome.action)) return;
    *walk->outcome = outcome;
    walk->said = true;
}

NO_INLINE static void defer(struct walk *walk, struct str address, const char *status, const char *format,
                            const char *detail) {
    struct buf text = buf_make(900);
    struct str words = str_from(format), before, after;
    if (str_cut(words, '%', &before, &after)) {
        buf_append(&text, before);
        buf_append(&text, str_from(detail));
        buf_append(&text, after);
    } else {
        buf_append(&text, words);
    }
    say(walk, address, DELIVERY_DEFERRED, str_from(status), buf_str(&text));
    buf_free(&text);
}

static void append_key(struct buf *key, const char *kind, struct str name) {
    buf_printf(key, "%s ", kind);
    for (size_t i = 0; i < name.length; i++)
        buf_append_char(key, ascii_lower(name.data[i]));
}

static bool was_met(const struct walk *walk, const char *kind, struct str name) {
    struct buf key = buf_make(0);
    append_key(&key, kind, name);
    bool met = map_get(walk->seen, buf_str(&key)) != NULL;
    buf_free(&key);
    return met;
}

/* True the first time that a thing of that kind and name is met. */
static bool first_time(struct walk *walk, const char *kind, struct str name) {
    struct buf key = buf_make(0);
    append_key(&key, kind, name);
    bool first = map_put(walk->seen, buf_str(&key), walk) == NULL;
    buf_free(&key);
    return first;
}

static bool first_time_of_user(struct walk *walk, const struct ipc_lookup_local_found *found) {
    struct buf name = buf_make(0);
    buf_printf(&name, "%.*s %.*s", STR_ARGS(found->user), STR_ARGS(found->extension));
    bool first = first_time(walk, "user", buf_str(&name));
    buf_free(&name);
    return first;
}

/* The same for what has a path or is a command line: octet by octet, and for each user, as whose delivery it is. An
 * account's mailbox is another one, a folder, with another extension. */
static bool first_target(struct walk *walk, const char *kind, const struct owner *owner, struct str target,
                         struct str extension) {
    struct buf key = buf_make(0);
    buf_printf(&key, "%s %u %.*s ", kind, owner->uid, STR_ARGS(extension));
    buf_append(&key, target);
    bool first = map_put(walk->seen, buf_str(&key), walk) == NULL;
    buf_free(&key);
    return first;
}

static bool is_way(const struct way *way, enum way_kind kind, struct str name) {
    if (!way || way->kind != kind) return false;
    return kind == WAY_INCLUDE ? str_equal(way->name, name) : str_equal_nocase(way->name, name);
}

static bool is_on_way(const struct way *way, enum way_kind kind, struct str name) {
    for (; way; way = way->from)
        if (is_way(way, kind, name)) return true;
    return false;
}

static size_t way_length(const struct way *way) {
    size_t length = 0;
    for (; way; way = way->from)
        length++;
    return length;
}

/* By the administrator's limit, or because the next one might not have room on the stack. */
static bool is_too_deep(const struct walk *walk, const struct way *way) {
    return way_length(way) > (size_t)walk->local->config->local_recursion_limit || task_stack_left() < STACK_RESERVE;
}

/* ---- steps */

static struct str domain_of(struct str address, struct str *local_part) {
    size_t at = str_find_last(address, '@');
    *local_part = at == STR_NONE ? address : str_slice(address, 0, at);
    return at == STR_NONE ? STR_EMPTY : str_from_offset(address, at + 1);
}

static struct ipc_local_work make_work(struct walk *walk, enum local_step step, struct str address,
                                       struct str extension, const struct owner *owner, struct str target) {
    const struct ipc_deliver *request = walk->request;
    struct str local_part, domain = domain_of(address, &local_part);
    if (extension.length && local_part.length > extension.length) local_part.length -= extension.length + 1;
    return (struct ipc_local_work){
        .step = step,
        .uid = owner->uid,
        .gid = owner->gid,
        .user = owner->user,
        .home = owner->home,
        .target = target,
        .queue_id = request->queue_id,
        .index = walk->recipient->index,
        .content_offset = request->content_offset,
        .content_length = request->content_length,
        .arrival = request->arrival,
        .sender = request->sender,
        .recipient = walk->recipient->address,
        .original = walk->recipient->original,
        .local = str_slice(local_part, 0, 256),
        .domain = str_slice(domain, 0, 256),
        .extension = extension,
        .perhaps_delivered = request->perhaps_delivered,
    };
}

/* All that is written or run goes through here; for a probe a .forward file is read and nothing else is done. */
static void run_step(struct walk *walk, const struct ipc_local_work *work, struct step_answer *answer) {
    struct local *local = walk->local;
    if (walk->request->probe && work->step != STEP_FORWARD) {
        *answer = (struct step_answer){
            .action = DELIVERY_DEFERRED, .status = STR("4.3.5"), .text = STR("a probe is not delivered")};
        return;
    }
    if (work->step == STEP_COMMAND)
        commands_step(local->commands, work, walk->file, walk->arena, answer);
    else
        forker_step(local->forker, work, walk->file, walk->arena, answer);
}

/* The same into a user's mailbox. One that is missing is made first where only a group's members may do that: never
 * by a process that reads what its user names. */
NO_INLINE static void run_mailbox_step(struct walk *walk, const struct ipc_local_work *work,
                                       struct step_answer *answer) {
    struct local *local = walk->local;
    struct ipc_local_work make = *work;
    struct step_answer made;
    run_step(walk, work, answer);
    if (!answer->unmade || local->spool_gid == 0 || local->config->home_mailbox.length > 0) return;
    make.step = STEP_MAKE;
    make.gid = local->spool_gid;
    run_step(walk, &make, &made);
    if (made.action != DELIVERY_DELIVERED) return;
    make.step = STEP_MAILBOX;
    make.gid = work->gid;
    run_step(walk, &make, answer);
}

/* A step that ends in an outcome. */
NO_INLINE static void run_end(struct walk *walk, struct str address, const struct ipc_local_work *work) {
    struct step_answer answer;
    run_step(walk, work, &answer);
    say(walk, address, answer.action, answer.status, answer.text);
}

/* ---- forwarding */

NO_INLINE static void forward_to(struct walk *walk, struct str address, struct str sender, bool owned) {
    struct forwarded *group = walk->forwards;
    while (group && !str_equal(group->sender, sender))
        group = group->next;
    if (!first_time(walk, "forward", address)) return;
    if (!group) {
        group = ARENA_NEW(walk->arena, struct forwarded);
        if (!group) return defer(walk, address, "4.3.0", "too many recipients", NULL);
        *group = (struct forwarded){.sender = sender, .owned = owned, .next = walk->forwards};
        walk->forwards = group;
    }
    if (group->count == group->room) {
        size_t room = group->room ? group->room * 2 : 8;
        struct ipc_recipient *grown = arena_allocate(walk->arena, room, sizeof *grown);
        if (!grown) return defer(walk, address, "4.3.0", "too many recipients", NULL);
        if (group->count) memcpy(grown, group->recipients, group->count * sizeof *grown);
        group->recipients = grown;
        group->room = room;
    }
    const struct ipc_recipient *recipient = walk->recipient;
    struct str original = recipient->original.length ? recipient->original : recipient->address;
    /* RFC 3461 5.2.7: a list's owner is told instead of the sender; an alias passes the wishes on, but success was
     * already reported as "expanded". */
    uint64_t notify = owned ? 0 : recipient->notify & ~(uint64_t)NOTIFY_SUCCESS;
    if (!owned && recipient->notify == NOTIFY_SUCCESS) notify = NOTIFY_NEVER;
    group->recipients[group->count++] = (struct ipc_recipient){
        .address = address, .original = original, .orcpt = owned ? STR_EMPTY : recipient->orcpt, .notify = notify};
}

static void send_forwards(struct walk *walk) {
    const struct config *config = walk->local->config;
    struct str rest = config->prepend_delivered_header, word;
    bool prepend = false;
    while (str_next_word(&rest, ", \t", &word))
        prepend |= str_equal(word, STR("forward"));
    for (struct forwarded *group = walk->forwards; group; group = group->next) {
        if (walk->said && walk->outcome->action == DELIVERY_DEFERRED) return;
        struct resend resend = {.request = walk->request,
                                .file = walk->file,
                                .sender = group->sender,
                                .delivered_to = walk->recipient->address,
                                .prepend_delivered_to = prepend,
                                .drop_dsn = group->owned,
                                .recipients = group->recipients,
                                .recipient_count = group->count};
        struct failure failure = {0};
        struct str queue_id;
        struct buf text = buf_make(100);
        if (resend_message(walk->local, &resend, walk->arena, &queue_id, &failure)) {
            buf_printf(&text, "forwarded as %.*s", STR_ARGS(queue_id));
            say(walk, walk->recipient->address, DELIVERY_EXPANDED, STR("2.0.0"), buf_str(&text));
        } else {
            defer(walk, walk->recipient->address, "4.3.0", "%", failure.text);
        }
        buf_free(&text);
    }
}

/* What became of a mailbox. A list's members who take no mail are its owner's business: the message comes here again,
 * from him. */
static void say_of_member(struct walk *walk, struct str address, const struct step_answer *answer, struct str sender,
                          bool owned) {
    if (owned && answer->action == DELIVERY_FAILED && !str_equal(address, walk->recipient->address))
        return forward_to(walk, address, sender, true);
    say(walk, address, answer->action, answer->status, answer->text);
}

/* ---- members */

static bool list_has(struct str list, enum origin origin) {
    struct str rest = list, word;
    struct str wanted = origin == ORIGIN_ALIAS     ? STR("alias")
                        : origin == ORIGIN_FORWARD ? STR("forward")
                                                   : STR("include");
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal(word, wanted)) return true;
    return false;
}

struct expansion {
    enum origin origin;
    struct owner owner;
    struct str address; /* that was expanded */
    struct str extension;
    struct str sender; /* of copies */
    bool owned;
    const struct way *way;
};

/* A member as an envelope has it: without quotes, with a domain. What cannot be taken apart stays as it is, and
 * is an address that is no good to whoever looks it up. */
NO_INLINE static struct str complete_address(struct walk *walk, struct str value) {
    unsigned flags = MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_LONG | MAIL_ADDRESS_LOCAL_ONLY;
    struct mail_address address;
    bool good = mail_address_parse(value, flags, &address) == MAIL_ADDRESS_OK;
    bool whole = good ? address.domain_length > 0 : str_find(value, '@') != STR_NONE;
    struct buf text = buf_make(600);
    buf_append(&text, good ? mail_address_text(&address) : value);
    if (!whole) buf_printf(&text, "@%.*s", STR_ARGS(walk->local->config->myorigin));
    struct str kept = keep(walk, buf_str(&text));
    buf_free(&text);
    return kept;
}

/* Whether this service delivers to it, or the queue, by transport_maps perhaps. False: that cannot be found out. */
NO_INLINE static bool find_place(struct walk *walk, struct str address, bool *here) {
    struct ipc_lookup_resolved resolved;
    struct failure failure = {0};
    if (resolve_recipient(walk->local->resolve, address, STR_EMPTY, deadline_in(LOOKUP_PATIENCE), walk->arena,
                          &resolved, &failure) != RESOLVE_OK) {
        defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
        return false;
    }
    *here = resolved.address_class == CLASS_LOCAL && str_equal(resolved.transport, service_name(walk->local->service));
    return true;
}

/* Names that this service delivers to are delivered to at once; others go through the queue. */
static void member_address(struct walk *walk, const struct expansion *expansion, struct str value) {
    bool mailbox_only = value.length > 0 && value.data[0] == '\\', here;
    if (mailbox_only) value = str_from_offset(value, 1);
    struct str address = complete_address(walk, value);
    if (address.length > 512)
        return defer(walk, expansion->address, "4.3.5", "an address in its alias or .forward is too long", NULL);
    if (!find_place(walk, address, &here)) return;
    if (here)
        deliver_address(walk, address, mailbox_only, expansion->way, expansion->sender, expansion->owned);
    else
        forward_to(walk, address, expansion->sender, expansion->owned);
}

static void expand_members(struct walk *walk, const struct expansion *expansion, struct ipc_list members);

/* A portion of a list, of which some members have been met. */
NO_INLINE static bool read_list(struct walk *walk, const struct expansion *expansion, struct str file,
                                struct step_answer *answer, uint64_t members_before) {
    struct ipc_local_work work =
        make_work(walk, STEP_INCLUDE, expansion->address, expansion->extension, &expansion->owner, file);
    work.members_before = members_before;
    work.list_version = members_before > 0 ? answer->list_version : 0;
    run_step(walk, &work, answer);
    if (!answer->expanded) say(walk, expansion->address, answer->action, answer->status, answer->text);
    return answer->expanded;
}

/* A long list comes in portions. */
static void member_include(struct walk *walk, const struct expansion *expansion, struct str file) {
    const struct config *config = walk->local->config;
    struct step_answer answer;
    struct expansion inner = *expansion;
    struct way way = {expansion->way, WAY_INCLUDE, file};
    uint64_t members = 0;
    inner.origin = ORIGIN_INCLUDE;
    inner.way = &way;
    if (is_on_way(expansion->way, WAY_INCLUDE, file))
        return defer(walk, expansion->address, "4.3.5", "a list includes itself: %", keep(walk, file).data);
    if (is_too_deep(walk, &way))
        return defer(walk, expansion->address, "4.3.5", "lists are nested too deeply: %", keep(walk, file).data);
    do {
        if (!read_list(walk, expansion, file, &answer, members)) return;
        members += answer.members.count;
        expand_members(walk, &inner, answer.members);
    } while (answer.more && walk->members <= (size_t)config->local_expansion_limit);
}

NO_INLINE static void member_command(struct walk *walk, const struct expansion *expansion, struct str command) {
    if (!list_has(walk->local->config->allow_mail_to_commands, expansion->origin))
        return say(walk, expansion->address, DELIVERY_FAILED, STR("5.7.1"), STR("mail to command is restricted"));
    struct ipc_local_work work =
        make_work(walk, STEP_COMMAND, expansion->address, expansion->extension, &expansion->owner, command);
    if (first_target(walk, "command", &expansion->owner, command, STR_EMPTY)) run_end(walk, expansion->address, &work);
}

NO_INLINE static void member_file(struct walk *walk, const struct expansion *expansion, struct str file) {
    if (!list_has(walk->local->config->allow_mail_to_files, expansion->origin))
        return say(walk, expansion->address, DELIVERY_FAILED, STR("5.7.1"), STR("mail to file is restricted"));
    struct ipc_local_work work =
        make_work(walk, STEP_FILE, expansion->address, expansion->extension, &expansion->owner, file);
    if (first_target(walk, "file", &expansion->owner, file, STR_EMPTY)) run_end(walk, expansion->address, &work);
}

static void expand_members(struct walk *walk, const struct expansion *expansion, struct ipc_list members) {
    struct ipc_address_row row;
    size_t offset = 0;
    bool bad = false;
    walk->expanded = true;
    while (ipc_list_next(members, IPC_ROW_ADDRESS, &offset, &row, &bad)) {
        if (++walk->members > (size_t)walk->local->config->local_expansion_limit)
            return defer(walk, expansion->address, "4.3.5", "alias expansion exceeds local_expansion_limit", NULL);
        switch ((enum expansion_kind)row.kind) {
        case EXPANSION_ADDRESS:
            member_address(walk, expansion, row.value);
            break;
        case EXPANSION_COMMAND:
            member_command(walk, expansion, row.value);
            break;
        case EXPANSION_FILE:
            member_file(walk, expansion, row.value);
            break;
        case EXPANSION_INCLUDE:
            member_include(walk, expansion, row.value);
            break;
        }
    }
    if (bad) defer(walk, expansion->address, "4.3.0", "the members of its alias cannot be read", NULL);
}

/* ---- probes */

static void probe_end(struct walk *walk, struct str address, struct str text) {
    say(walk, address, DELIVERY_DELIVERED, STR("2.0.0"), text);
}

/* Of commands, files and lists only that they are there: their names are not for every caller of sendmail. */
NO_INLINE static void probe_alias(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found) {
    static const char *const words[] = {
        [EXPANSION_COMMAND] = "a command", [EXPANSION_FILE] = "a file", [EXPANSION_INCLUDE] = "a list"};
    struct ipc_address_row row;
    struct buf text = buf_make(0);
    const char *before = "aliased to ";
    size_t offset = 0;
    bool bad = false;
    while (text.length < TEXT_MAX && ipc_list_next(found->members, IPC_ROW_ADDRESS, &offset, &row, &bad)) {
        buf_append(&text, str_from(before));
        if (row.kind == EXPANSION_ADDRESS)
            buf_append(&text, row.value);
        else
            buf_append(&text, str_from(row.kind < ARRAY_LENGTH(words) ? words[row.kind] : "another"));
        before = ", ";
    }
    if (text.length == 0)
        defer(walk, address, "4.3.5", "its alias stands for nobody", NULL);
    else
        probe_end(walk, address, buf_str(&text));
    buf_free(&text);
}

NO_INLINE static void probe_user(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                 const struct owner *owner, struct str command) {
    struct step_answer answer;
    struct ipc_local_work work = make_work(walk, STEP_FORWARD, address, found->extension, owner, STR_EMPTY);
    run_step(walk, &work, &answer);
    if (answer.expanded)
        probe_end(walk, address, STR("expanded by a .forward file"));
    else if (answer.action != DELIVERY_DELIVERED)
        say(walk, address, answer.action, answer.status, answer.text);
    else
        probe_end(walk, address, command.length ? STR("delivers to a command") : STR("delivers to mailbox"));
}

/* ---- what lookup may say */

/* Once, where mail is sent on. True if the delivery may go on. */
NO_INLINE static bool check_loop(struct walk *walk, const struct expansion *expansion) {
    struct step_answer answer;
    if (walk->checked) return true;
    struct ipc_local_work work =
        make_work(walk, STEP_CHECK, expansion->address, expansion->extension, &expansion->owner, STR_EMPTY);
    run_step(walk, &work, &answer);
    walk->checked = answer.action == DELIVERY_DELIVERED;
    if (!walk->checked) say(walk, expansion->address, answer.action, answer.status, answer.text);
    return walk->checked;
}

static void deliver_alias(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                          const struct way *way, struct str sender, bool owned) {
    struct local *local = walk->local;
    if (walk->request->probe) return probe_alias(walk, address, found);
    struct expansion expansion = {.origin = ORIGIN_ALIAS,
                                  .address = address,
                                  .extension = found->extension,
                                  .sender = sender,
                                  .owned = owned,
                                  .owner = {(uint32_t)found->uid, (uint32_t)found->gid, found->user, found->home}};
    if (found->uid == 0)
        expansion.owner =
            (struct owner){local->default_uid, local->default_gid, str_from(local->default_user), STR("/")};
    struct str name;
    domain_of(address, &name);
    struct way here = {way, WAY_ALIAS, name};
    if (is_on_way(way, WAY_ALIAS, name))
        return say(walk, address, DELIVERY_FAILED, STR("5.4.6"), STR("alias database loop"));
    if (is_too_deep(walk, &here))
        return say(walk, address, DELIVERY_FAILED, STR("5.4.6"), STR("aliases are nested too deeply"));
    if (!check_loop(walk, &expansion)) return;
    /* The null sender stays: a notice must not be answered by another. */
    if (found->owner.length && walk->request->sender.length && (!owned || local->config->reset_owner_alias)) {
        expansion.sender = found->owner;
        expansion.owned = true;
        walk->list |= str_equal(address, walk->recipient->address);
    }
    expansion.way = &here;
    expand_members(walk, &expansion, found->members);
}

/* The command that takes all local mail; empty: none. False: a table did not answer. */
static bool find_mailbox_command(struct walk *walk, struct str user, struct str *command, struct failure *failure) {
    const struct config *config = walk->local->config;
    bool found = false;
    *command = config->mailbox_command;
    if (config->mailbox_command_maps.length == 0) return true;
    struct str value;
    if (resolve_match(walk->local->resolve, config->mailbox_command_maps, user, deadline_in(LOOKUP_PATIENCE),
                      walk->arena, &found, &value, failure) != RESOLVE_OK)
        return false;
    if (found) *command = value;
    return true;
}

/* All but the members of a .forward file, which are in the answer if it is expanded. */
NO_INLINE static void serve_user(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                 const struct owner *owner, bool own, struct step_answer *answer, struct str sender,
                                 bool owned) {
    struct failure failure = {0};
    struct str command;
    *answer = (struct step_answer){.action = DELIVERY_DELIVERED};
    if (!find_mailbox_command(walk, found->user, &command, &failure))
        return defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
    if (walk->request->probe) return probe_user(walk, address, found, owner, command);
    enum local_step step = own ? STEP_MAILBOX : STEP_FORWARD;
    if (!own && !command.length && !was_met(walk, "mailbox", found->user)) step = STEP_USER;
    if (step == STEP_MAILBOX && !first_time(walk, "mailbox", found->user)) return;
    struct ipc_local_work work = make_work(walk, step, address, found->extension, owner, STR_EMPTY);
    if (step != STEP_MAILBOX || !command.length) run_mailbox_step(walk, &work, answer);
    if (answer->expanded) return;
    if (step != STEP_MAILBOX) {
        bool again = !first_time(walk, "mailbox", found->user);
        if (again && step == STEP_FORWARD && answer->action == DELIVERY_DELIVERED) return;
    }
    if (command.length && answer->action == DELIVERY_DELIVERED) {
        work.step = STEP_COMMAND;
        work.target = command;
        run_step(walk, &work, answer);
    }
    /* By their own .forward others may have the message: it does not come again. */
    say_of_member(walk, address, answer, sender, owned && !own);
}

static void deliver_user(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                         bool mailbox_only, const struct way *way, struct str sender, bool owned) {
    const struct config *config = walk->local->config;
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, found->user, found->home};
    struct step_answer answer;
    if (config->mailbox_transport.length || config->mailbox_transport_maps.length)
        return defer(walk, address, "4.3.5", "mailbox_transport is not supported", NULL);
    /* Named in their own .forward: the mailbox. Met again elsewhere: they have it already, unless by an extension that
     * may have a .forward file of its own. */
    bool own = mailbox_only || is_on_way(way, WAY_USER, found->user);
    if (!own && !first_time_of_user(walk, found)) return;
    serve_user(walk, address, found, &owner, own, &answer, sender, owned);
    if (!answer.expanded) return;
    struct way here = {way, WAY_USER, found->user};
    struct expansion expansion = {.origin = ORIGIN_FORWARD,
                                  .owner = owner,
                                  .address = address,
                                  .extension = found->extension,
                                  .sender = sender,
                                  .owned = owned,
                                  .way = &here};
    walk->checked = true;
    if (is_too_deep(walk, &here)) return defer(walk, address, "4.3.5", ".forward files are nested too deeply", NULL);
    expand_members(walk, &expansion, answer.members);
}

NO_INLINE static void deliver_unknown(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                      const struct way *way, struct str sender, bool owned) {
    const struct config *config = walk->local->config;
    struct str local_part;
    domain_of(address, &local_part);
    bool relayed = config->luser_relay.length && str_equal(service_name(walk->local->service), STR("local"));
    if ((config->fallback_transport.length || config->fallback_transport_maps.length) &&
        str_equal(service_name(walk->local->service), STR("local")))
        return defer(walk, address, "4.3.5", "fallback_transport is not supported", NULL);
    if (relayed && walk->request->probe) return probe_end(walk, address, STR("relayed by luser_relay"));
    if (relayed) {
        struct owner nobody = {walk->local->default_uid, walk->local->default_gid, STR_EMPTY, STR_EMPTY};
        struct ipc_local_work work = make_work(walk, STEP_CHECK, address, found->extension, &nobody, STR_EMPTY);
        struct buf target = buf_make(500);
        expand_template(config->luser_relay, &work, config, STR_EMPTY, &target);
        struct way here = {way, WAY_ALIAS, local_part};
        struct expansion expansion = {.address = address, .sender = sender, .owned = owned, .way = &here};
        struct step_answer answer;
        run_step(walk, &work, &answer);
        walk->expanded = true;
        if (answer.action != DELIVERY_DELIVERED)
            say(walk, address, answer.action, answer.status, answer.text);
        else if (target.length == 0 || is_on_way(way, WAY_ALIAS, local_part))
            defer(walk, address, "4.3.5", "luser_relay does not expand to an address", NULL);
        else
            member_address(walk, &expansion, keep(walk, buf_str(&target)));
        buf_free(&target);
        return;
    }
    /* A list's dead members are its owner's business: the message comes here again, from him. */
    if (owned && !str_equal(address, walk->recipient->address)) return forward_to(walk, address, sender, true);
    struct buf text = buf_make(700);
    bool whole = str_equal(service_name(walk->local->service), STR("virtual"));
    buf_printf(&text, "unknown user: \"%.*s\"", STR_ARGS(whole ? address : local_part));
    say(walk, address, DELIVERY_FAILED, STR("5.1.1"), buf_str(&text));
    buf_free(&text);
}

NO_INLINE static void deliver_virtual(struct walk *walk, struct str address,
                                      const struct ipc_lookup_local_found *found) {
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, STR_EMPTY, STR_EMPTY};
    if (found->mailbox.length == 0) return defer(walk, address, "4.3.5", "its mailbox has no name", NULL);
    if (walk->request->probe) return probe_end(walk, address, STR("delivers to mailbox"));
    struct ipc_local_work work = make_work(walk, STEP_VIRTUAL, address, found->extension, &owner, found->mailbox);
    if (first_target(walk, "virtual", &owner, found->mailbox, STR_EMPTY)) run_end(walk, address, &work);
}

NO_INLINE static void deliver_account(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                      struct str sender, bool owned) {
    struct step_answer answer;
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, STR_EMPTY, STR_EMPTY};
    if (walk->request->probe) return probe_end(walk, address, STR("delivers to mailbox"));
    struct ipc_local_work work = make_work(walk, STEP_ACCOUNT, address, found->extension, &owner, found->mailbox);
    work.quota_storage = found->quota_storage;
    work.quota_messages = found->quota_messages;
    if (!first_target(walk, "account", &owner, found->mailbox, found->extension)) return;
    run_step(walk, &work, &answer);
    say_of_member(walk, address, &answer, sender, owned);
}

NO_INLINE static bool find_local(struct walk *walk, struct str address, bool no_alias,
                                 struct ipc_lookup_local_found *found) {
    struct failure failure = {0};
    if (resolve_local(walk->local->resolve, address, no_alias, deadline_in(LOOKUP_PATIENCE), walk->arena, found,
                      &failure) == RESOLVE_OK)
        return true;
    defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
    return false;
}

static void deliver_address(struct walk *walk, struct str address, bool mailbox_only, const struct way *way,
                            struct str sender, bool owned) {
    struct ipc_lookup_local_found found;
    struct str name;
    domain_of(address, &name);
    /* "alice: alice, bob": the account of that name. */
    bool itself = is_way(way, WAY_ALIAS, name);
    if (!find_local(walk, address, mailbox_only || itself, &found)) return;
    switch ((enum local_kind)found.kind) {
    case LOCAL_UNKNOWN:
        return deliver_unknown(walk, address, &found, way, sender, owned);
    case LOCAL_ALIAS:
        if (!is_on_way(way, WAY_ALIAS, name) && !first_time(walk, "alias", name)) return;
        return deliver_alias(walk, address, &found, way, sender, owned);
    case LOCAL_USER:
        return deliver_user(walk, address, &found, mailbox_only, way, sender, owned);
    case LOCAL_VIRTUAL:
        return deliver_virtual(walk, address, &found);
    case LOCAL_ACCOUNT:
        return deliver_account(walk, address, &found, sender, owned);
    }
    defer(walk, address, "4.3.0", "lookup says what local does not know", NULL);
}

/* RFC 3464 section 2.3.3: "expanded" is for an alias of several recipients, not for a list; one that leads to one
 * mailbox here is delivered. */
static unsigned action_of_expansion(const struct walk *walk, size_t ends_here) {
    bool one = ends_here == 1 && !walk->forwards;
    return walk->list || one ? DELIVERY_DELIVERED : DELIVERY_EXPANDED;
}

void deliver_recipient(struct local *local, const struct ipc_deliver *request, int file,
                       const struct ipc_recipient *recipient, struct arena *arena, struct ipc_outcome *outcome) {
    struct walk walk = {.local = local,
                        .request = request,
                        .file = file,
                        .recipient = recipient,
                        .arena = arena,
                        .relay = service_name(local->service),
                        .started = clock_date(),
                        .seen = map_create(),
                        .outcome = outcome};
    deliver_address(&walk, recipient->address, false, NULL, request->sender, false);
    size_t ends_here = walk.ends;
    send_forwards(&walk);
    if (!walk.said) say(&walk, recipient->address, DELIVERY_DEFERRED, STR("4.3.5"), STR("its alias stands for nobody"));
    if (walk.expanded && badness(outcome->action) == 0) outcome->action = action_of_expansion(&walk, ends_here);
    map_destroy(&walk.seen);
}
