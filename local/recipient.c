/* One recipient, through aliases, lists and .forward files to its ends.
 *
 * Mailboxes, files and commands are delivered to as they are met; addresses elsewhere
 * are collected and get one copy of the message at the end, and only if nothing before
 * was deferred: a deferred recipient is tried again as a whole, but for a mailbox that has
 * to wait, which gets a copy of its own (walk.h). Each end has its line in the log; qmgr
 * gets one outcome, the worst.
 *
 * Of a probe the first answer is the last: that it is an alias, that a .forward file would
 * expand it, that it has a mailbox. Nothing is written, run or sent.
 *
 * An alias within an alias is a call within a call, as deep as whoever writes lists likes. What
 * is not on that way is NO_INLINE, so that a level takes little of the stack. */
#include "walk.h"
#include "address.h"
#include "hash.h"

#define LOOKUP_PATIENCE ((int64_t)60 * 1000)
#define TEXT_MAX        ((size_t)1000) /* of a probe's outcome */

/* Whose rights and whose words: the alias, list or .forward that is being expanded. */
enum origin { ORIGIN_ALIAS, ORIGIN_FORWARD, ORIGIN_INCLUDE };

static void deliver_address(struct walk *walk, struct str address, bool mailbox_only, const struct way *way,
                            struct str sender, bool owned);

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
    struct str kept = walk_keep(walk, buf_str(&text));
    buf_free(&text);
    return kept;
}

/* Whether this service delivers to it, or the queue, by transport_maps perhaps. False: that cannot be found out. */
NO_INLINE static bool find_place(struct walk *walk, struct str address, bool *here) {
    struct ipc_lookup_resolved resolved;
    struct failure failure = {0};
    if (resolve_recipient(walk->local->resolve, address, STR_EMPTY, deadline_in(LOOKUP_PATIENCE), walk->arena,
                          &resolved, &failure) != RESOLVE_OK) {
        walk_defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
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
        return walk_defer(walk, expansion->address, "4.3.5", "an address in its alias or .forward is too long", NULL);
    if (!find_place(walk, address, &here)) return;
    if (here)
        deliver_address(walk, address, mailbox_only, expansion->way, expansion->sender, expansion->owned);
    else
        walk_forward_to(walk, address, expansion->sender, expansion->owned);
}

static void expand_members(struct walk *walk, const struct expansion *expansion, struct ipc_list members);

/* A portion of a list, of which some members have been met. */
NO_INLINE static bool read_list(struct walk *walk, const struct expansion *expansion, struct str file,
                                struct step_answer *answer, uint64_t members_before) {
    struct ipc_local_work work =
        walk_make_work(walk, STEP_INCLUDE, expansion->address, expansion->extension, &expansion->owner, file);
    work.members_before = members_before;
    work.list_version = members_before > 0 ? answer->list_version : 0;
    walk_run_step(walk, &work, answer);
    if (!answer->expanded) walk_say(walk, expansion->address, answer->action, answer->status, answer->text);
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
    if (way_has(expansion->way, WAY_INCLUDE, file))
        return walk_defer(walk, expansion->address, "4.3.5", "a list includes itself: %", walk_keep(walk, file).data);
    if (walk_is_too_deep(walk, &way))
        return walk_defer(walk, expansion->address, "4.3.5", "lists are nested too deeply: %",
                          walk_keep(walk, file).data);
    do {
        if (!read_list(walk, expansion, file, &answer, members)) return;
        members += answer.members.count;
        expand_members(walk, &inner, answer.members);
    } while (answer.more && walk->members <= (size_t)config->local_expansion_limit);
}

NO_INLINE static void member_command(struct walk *walk, const struct expansion *expansion, struct str command) {
    if (!list_has(walk->local->config->allow_mail_to_commands, expansion->origin))
        return walk_say(walk, expansion->address, DELIVERY_FAILED, STR("5.7.1"), STR("mail to command is restricted"));
    struct ipc_local_work work =
        walk_make_work(walk, STEP_COMMAND, expansion->address, expansion->extension, &expansion->owner, command);
    if (walk_first_target(walk, "command", &expansion->owner, command, STR_EMPTY))
        walk_run_end(walk, expansion->address, &work);
}

NO_INLINE static void member_file(struct walk *walk, const struct expansion *expansion, struct str file) {
    if (!list_has(walk->local->config->allow_mail_to_files, expansion->origin))
        return walk_say(walk, expansion->address, DELIVERY_FAILED, STR("5.7.1"), STR("mail to file is restricted"));
    struct ipc_local_work work =
        walk_make_work(walk, STEP_FILE, expansion->address, expansion->extension, &expansion->owner, file);
    if (walk_first_target(walk, "file", &expansion->owner, file, STR_EMPTY))
        walk_run_end(walk, expansion->address, &work);
}

static void expand_members(struct walk *walk, const struct expansion *expansion, struct ipc_list members) {
    struct ipc_address_row row;
    size_t offset = 0;
    bool bad = false;
    walk->expanded = true;
    while (ipc_list_next(members, IPC_ROW_ADDRESS, &offset, &row, &bad)) {
        if (++walk->members > (size_t)walk->local->config->local_expansion_limit)
            return walk_defer(walk, expansion->address, "4.3.5", "alias expansion exceeds local_expansion_limit", NULL);
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
    if (bad) walk_defer(walk, expansion->address, "4.3.0", "the members of its alias cannot be read", NULL);
}

/* ---- probes */

static void probe_end(struct walk *walk, struct str address, struct str text) {
    walk_say(walk, address, DELIVERY_DELIVERED, STR("2.0.0"), text);
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
        walk_defer(walk, address, "4.3.5", "its alias stands for nobody", NULL);
    else
        probe_end(walk, address, buf_str(&text));
    buf_free(&text);
}

NO_INLINE static void probe_user(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                 const struct owner *owner, struct str command) {
    struct step_answer answer;
    struct ipc_local_work work = walk_make_work(walk, STEP_FORWARD, address, found->extension, owner, STR_EMPTY);
    walk_run_step(walk, &work, &answer);
    if (answer.expanded)
        probe_end(walk, address, STR("expanded by a .forward file"));
    else if (answer.action != DELIVERY_DELIVERED)
        walk_say(walk, address, answer.action, answer.status, answer.text);
    else
        probe_end(walk, address, command.length ? STR("delivers to a command") : STR("delivers to mailbox"));
}

/* ---- what lookup may say */

/* Once, where mail is sent on. True if the delivery may go on. */
NO_INLINE static bool check_loop(struct walk *walk, const struct expansion *expansion) {
    struct step_answer answer;
    if (walk->checked) return true;
    struct ipc_local_work work =
        walk_make_work(walk, STEP_CHECK, expansion->address, expansion->extension, &expansion->owner, STR_EMPTY);
    walk_run_step(walk, &work, &answer);
    walk->checked = answer.action == DELIVERY_DELIVERED;
    if (!walk->checked) walk_say(walk, expansion->address, answer.action, answer.status, answer.text);
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
    walk_domain_of(address, &name);
    struct way here = {way, WAY_ALIAS, name};
    if (way_has(way, WAY_ALIAS, name))
        return walk_say(walk, address, DELIVERY_FAILED, STR("5.4.6"), STR("alias database loop"));
    if (walk_is_too_deep(walk, &here))
        return walk_say(walk, address, DELIVERY_FAILED, STR("5.4.6"), STR("aliases are nested too deeply"));
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
        return walk_defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
    if (walk->request->probe) return probe_user(walk, address, found, owner, command);
    enum local_step step = own ? STEP_MAILBOX : STEP_FORWARD;
    if (!own && !command.length && !walk_has_met(walk, "mailbox", found->user)) step = STEP_USER;
    if (step == STEP_MAILBOX && !walk_first_time(walk, "mailbox", found->user)) return;
    struct ipc_local_work work = walk_make_work(walk, step, address, found->extension, owner, STR_EMPTY);
    if (step != STEP_MAILBOX || !command.length) walk_run_mailbox_step(walk, &work, answer);
    if (answer->expanded) return;
    if (step != STEP_MAILBOX) {
        bool again = !walk_first_time(walk, "mailbox", found->user);
        if (again && step == STEP_FORWARD && answer->action == DELIVERY_DELIVERED) return;
    }
    if (command.length && answer->action == DELIVERY_DELIVERED) {
        work.step = STEP_COMMAND;
        work.target = command;
        walk_run_step(walk, &work, answer);
    }
    /* By their own .forward others may have the message: it does not come again. */
    if (own)
        walk_say(walk, address, answer->action, answer->status, answer->text);
    else
        walk_say_of_member(walk, address, answer, sender, owned);
}

static void deliver_user(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                         bool mailbox_only, const struct way *way, struct str sender, bool owned) {
    const struct config *config = walk->local->config;
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, found->user, found->home};
    struct step_answer answer;
    if (config->mailbox_transport.length || config->mailbox_transport_maps.length)
        return walk_defer(walk, address, "4.3.5", "mailbox_transport is not supported", NULL);
    /* Named in their own .forward: the mailbox. Met again elsewhere: they have it already, unless by an extension that
     * may have a .forward file of its own. */
    bool own = mailbox_only || way_has(way, WAY_USER, found->user);
    if (!own && !walk_first_time_of_user(walk, found)) return;
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
    if (walk_is_too_deep(walk, &here))
        return walk_defer(walk, address, "4.3.5", ".forward files are nested too deeply", NULL);
    expand_members(walk, &expansion, answer.members);
}

NO_INLINE static void deliver_unknown(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                      const struct way *way, struct str sender, bool owned) {
    const struct config *config = walk->local->config;
    struct str local_part;
    walk_domain_of(address, &local_part);
    bool relayed = config->luser_relay.length && str_equal(service_name(walk->local->service), STR("local"));
    if ((config->fallback_transport.length || config->fallback_transport_maps.length) &&
        str_equal(service_name(walk->local->service), STR("local")))
        return walk_defer(walk, address, "4.3.5", "fallback_transport is not supported", NULL);
    if (relayed && walk->request->probe) return probe_end(walk, address, STR("relayed by luser_relay"));
    if (relayed) {
        struct owner nobody = {walk->local->default_uid, walk->local->default_gid, STR_EMPTY, STR_EMPTY};
        struct ipc_local_work work = walk_make_work(walk, STEP_CHECK, address, found->extension, &nobody, STR_EMPTY);
        struct buf target = buf_make(500);
        expand_template(config->luser_relay, &work, config, STR_EMPTY, &target);
        struct way here = {way, WAY_ALIAS, local_part};
        struct expansion expansion = {.address = address, .sender = sender, .owned = owned, .way = &here};
        struct step_answer answer;
        walk_run_step(walk, &work, &answer);
        walk->expanded = true;
        if (answer.action != DELIVERY_DELIVERED)
            walk_say(walk, address, answer.action, answer.status, answer.text);
        else if (target.length == 0 || way_has(way, WAY_ALIAS, local_part))
            walk_defer(walk, address, "4.3.5", "luser_relay does not expand to an address", NULL);
        else
            member_address(walk, &expansion, walk_keep(walk, buf_str(&target)));
        buf_free(&target);
        return;
    }
    /* A list's dead members are its owner's business: the message comes here again, from him. */
    if (owned && !str_equal(address, walk->recipient->address)) return walk_forward_to(walk, address, sender, true);
    struct buf text = buf_make(700);
    bool whole = str_equal(service_name(walk->local->service), STR("virtual"));
    buf_printf(&text, "unknown user: \"%.*s\"", STR_ARGS(whole ? address : local_part));
    walk_say(walk, address, DELIVERY_FAILED, STR("5.1.1"), buf_str(&text));
    buf_free(&text);
}

NO_INLINE static void deliver_virtual(struct walk *walk, struct str address,
                                      const struct ipc_lookup_local_found *found) {
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, STR_EMPTY, STR_EMPTY};
    if (found->mailbox.length == 0) return walk_defer(walk, address, "4.3.5", "its mailbox has no name", NULL);
    if (walk->request->probe) return probe_end(walk, address, STR("delivers to mailbox"));
    struct ipc_local_work work = walk_make_work(walk, STEP_VIRTUAL, address, found->extension, &owner, found->mailbox);
    if (walk_first_target(walk, "virtual", &owner, found->mailbox, STR_EMPTY)) walk_run_end(walk, address, &work);
}

NO_INLINE static void deliver_account(struct walk *walk, struct str address, const struct ipc_lookup_local_found *found,
                                      struct str sender, bool owned) {
    struct step_answer answer;
    struct owner owner = {(uint32_t)found->uid, (uint32_t)found->gid, STR_EMPTY, STR_EMPTY};
    if (walk->request->probe) return probe_end(walk, address, STR("delivers to mailbox"));
    struct ipc_local_work work = walk_make_work(walk, STEP_ACCOUNT, address, found->extension, &owner, found->mailbox);
    work.quota_storage = found->quota_storage;
    work.quota_messages = found->quota_messages;
    if (!walk_first_target(walk, "account", &owner, found->mailbox, found->extension)) return;
    walk_run_step(walk, &work, &answer);
    walk_say_of_member(walk, address, &answer, sender, owned);
}

NO_INLINE static bool find_local(struct walk *walk, struct str address, bool no_alias,
                                 struct ipc_lookup_local_found *found) {
    struct failure failure = {0};
    if (resolve_local(walk->local->resolve, address, no_alias, deadline_in(LOOKUP_PATIENCE), walk->arena, found,
                      &failure) == RESOLVE_OK)
        return true;
    walk_defer(walk, address, "4.3.0", "address lookup failed: %", failure.text);
    return false;
}

static void deliver_address(struct walk *walk, struct str address, bool mailbox_only, const struct way *way,
                            struct str sender, bool owned) {
    struct ipc_lookup_local_found found;
    struct str name;
    walk_domain_of(address, &name);
    /* "alice: alice, bob": the account of that name. */
    bool itself = way_is(way, WAY_ALIAS, name);
    if (!find_local(walk, address, mailbox_only || itself, &found)) return;
    switch ((enum local_kind)found.kind) {
    case LOCAL_UNKNOWN:
        return deliver_unknown(walk, address, &found, way, sender, owned);
    case LOCAL_ALIAS:
        if (!way_has(way, WAY_ALIAS, name) && !walk_first_time(walk, "alias", name)) return;
        return deliver_alias(walk, address, &found, way, sender, owned);
    case LOCAL_USER:
        return deliver_user(walk, address, &found, mailbox_only, way, sender, owned);
    case LOCAL_VIRTUAL:
        return deliver_virtual(walk, address, &found);
    case LOCAL_ACCOUNT:
        return deliver_account(walk, address, &found, sender, owned);
    }
    walk_defer(walk, address, "4.3.0", "lookup says what local does not know", NULL);
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
    walk_send_forwards(&walk);
    if (!walk.said)
        walk_say(&walk, recipient->address, DELIVERY_DEFERRED, STR("4.3.5"), STR("its alias stands for nobody"));
    if (walk.expanded && walk_badness(outcome->action) == 0) outcome->action = action_of_expansion(&walk, ends_here);
    map_destroy(&walk.seen);
}
