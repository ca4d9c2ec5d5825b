/* What one recipient's way needs at each of its steps: see walk.h. */
#include "walk.h"
#include "delivery_log.h"
#include "hash.h"

#define TEXT_MAX      ((size_t)1000)      /* of an outcome */
#define STACK_RESERVE ((size_t)80 * 1024) /* for all that is called on the way down from one address to its members */

/* ---- outcomes */

unsigned walk_badness(uint64_t action) {
    return action == DELIVERY_DEFERRED ? 2 : action == DELIVERY_FAILED ? 1 : 0;
}

struct str walk_keep(struct walk *walk, struct str text) {
    struct str kept = STR_EMPTY;
    return arena_copy(walk->arena, text, &kept) ? kept : STR("out of memory");
}

void walk_say(struct walk *walk, struct str address, unsigned action, struct str status, struct str text) {
    const struct config *config = walk->local->config;
    bool top = str_equal(address, walk->recipient->address);
    struct str original = walk->recipient->original;
    if (!top && original.length == 0) original = walk->recipient->address;
    int64_t now = clock_date();
    struct ipc_outcome outcome = {
        .index = walk->recipient->index,
        .action = action,
        .status = status,
        .text = str_slice(walk_keep(walk, text), 0, TEXT_MAX),
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
    if (!probe && delivery_soften(config, &outcome, soft_status)) outcome.status = walk_keep(walk, outcome.status);
    walk->ends++;
    if (walk->said && walk_badness(walk->outcome->action) >= walk_badness(outcome.action)) return;
    *walk->outcome = outcome;
    walk->said = true;
}

void walk_defer(struct walk *walk, struct str address, const char *status, const char *format, const char *detail) {
    struct buf text = buf_make(900);
    struct str words = str_from(format), before, after;
    if (str_cut(words, '%', &before, &after)) {
        buf_append(&text, before);
        buf_append(&text, str_from(detail));
        buf_append(&text, after);
    } else {
        buf_append(&text, words);
    }
    walk_say(walk, address, DELIVERY_DEFERRED, str_from(status), buf_str(&text));
    buf_free(&text);
}

static void append_key(struct buf *key, const char *kind, struct str name) {
    buf_printf(key, "%s ", kind);
    for (size_t i = 0; i < name.length; i++)
        buf_append_char(key, ascii_lower(name.data[i]));
}

bool walk_has_met(const struct walk *walk, const char *kind, struct str name) {
    struct buf key = buf_make(0);
    append_key(&key, kind, name);
    bool met = map_get(walk->seen, buf_str(&key)) != NULL;
    buf_free(&key);
    return met;
}

bool walk_first_time(struct walk *walk, const char *kind, struct str name) {
    struct buf key = buf_make(0);
    append_key(&key, kind, name);
    bool first = map_put(walk->seen, buf_str(&key), walk) == NULL;
    buf_free(&key);
    return first;
}

bool walk_first_time_of_user(struct walk *walk, const struct ipc_lookup_local_found *found) {
    struct buf name = buf_make(0);
    buf_printf(&name, "%.*s %.*s", STR_ARGS(found->user), STR_ARGS(found->extension));
    bool first = walk_first_time(walk, "user", buf_str(&name));
    buf_free(&name);
    return first;
}

bool walk_first_target(struct walk *walk, const char *kind, const struct owner *owner, struct str target,
                       struct str extension) {
    struct buf key = buf_make(0);
    buf_printf(&key, "%s %u %.*s ", kind, owner->uid, STR_ARGS(extension));
    buf_append(&key, target);
    bool first = map_put(walk->seen, buf_str(&key), walk) == NULL;
    buf_free(&key);
    return first;
}

bool way_is(const struct way *way, enum way_kind kind, struct str name) {
    if (!way || way->kind != kind) return false;
    return kind == WAY_INCLUDE ? str_equal(way->name, name) : str_equal_nocase(way->name, name);
}

bool way_has(const struct way *way, enum way_kind kind, struct str name) {
    for (; way; way = way->from)
        if (way_is(way, kind, name)) return true;
    return false;
}

static size_t way_length(const struct way *way) {
    size_t length = 0;
    for (; way; way = way->from)
        length++;
    return length;
}

bool walk_is_too_deep(const struct walk *walk, const struct way *way) {
    return way_length(way) > (size_t)walk->local->config->local_recursion_limit || task_stack_left() < STACK_RESERVE;
}

/* ---- steps */

struct str walk_domain_of(struct str address, struct str *local_part) {
    size_t at = str_find_last(address, '@');
    *local_part = at == STR_NONE ? address : str_slice(address, 0, at);
    return at == STR_NONE ? STR_EMPTY : str_from_offset(address, at + 1);
}

struct ipc_local_work walk_make_work(struct walk *walk, enum local_step step, struct str address, struct str extension,
                                     const struct owner *owner, struct str target) {
    const struct ipc_deliver *request = walk->request;
    struct str local_part, domain = walk_domain_of(address, &local_part);
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

void walk_run_step(struct walk *walk, const struct ipc_local_work *work, struct step_answer *answer) {
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

void walk_run_mailbox_step(struct walk *walk, const struct ipc_local_work *work, struct step_answer *answer) {
    struct local *local = walk->local;
    struct ipc_local_work make = *work;
    struct step_answer made;
    walk_run_step(walk, work, answer);
    if (!answer->unmade || local->spool_gid == 0 || local->config->home_mailbox.length > 0) return;
    make.step = STEP_MAKE;
    make.gid = local->spool_gid;
    walk_run_step(walk, &make, &made);
    if (made.action != DELIVERY_DELIVERED) return;
    make.step = STEP_MAILBOX;
    make.gid = work->gid;
    walk_run_step(walk, &make, answer);
}

void walk_run_end(struct walk *walk, struct str address, const struct ipc_local_work *work) {
    struct step_answer answer;
    walk_run_step(walk, work, &answer);
    walk_say(walk, address, answer.action, answer.status, answer.text);
}

/* ---- forwarding */

static void add_forward(struct walk *walk, struct str address, struct str sender, bool owned, bool as_is) {
    struct forwarded *group = walk->forwards;
    while (group && !(str_equal(group->sender, sender) && group->owned == owned && group->as_is == as_is))
        group = group->next;
    if (!walk_first_time(walk, "forward", address)) return;
    if (!group) {
        group = ARENA_NEW(walk->arena, struct forwarded);
        if (!group) return walk_defer(walk, address, "4.3.0", "too many recipients", NULL);
        *group = (struct forwarded){.sender = sender, .owned = owned, .as_is = as_is, .next = walk->forwards};
        walk->forwards = group;
    }
    if (group->count == group->room) {
        size_t room = group->room ? group->room * 2 : 8;
        struct ipc_recipient *grown = arena_allocate(walk->arena, room, sizeof *grown);
        if (!grown) return walk_defer(walk, address, "4.3.0", "too many recipients", NULL);
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

void walk_forward_to(struct walk *walk, struct str address, struct str sender, bool owned) {
    add_forward(walk, address, sender, owned, false);
}

void walk_send_forwards(struct walk *walk) {
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
                                .as_is = group->as_is,
                                .recipients = group->recipients,
                                .recipient_count = group->count};
        struct failure failure = {0};
        struct str queue_id;
        struct buf text = buf_make(100);
        if (resend_message(walk->local, &resend, walk->arena, &queue_id, &failure)) {
            buf_printf(&text, "forwarded as %.*s", STR_ARGS(queue_id));
            walk_say(walk, walk->recipient->address, DELIVERY_EXPANDED, STR("2.0.0"), buf_str(&text));
        } else {
            walk_defer(walk, walk->recipient->address, "4.3.0", "%", failure.text);
        }
        buf_free(&text);
    }
}

void walk_say_of_member(struct walk *walk, struct str address, const struct step_answer *answer, struct str sender,
                        bool owned) {
    bool alone = answer->action == DELIVERY_DEFERRED || (owned && answer->action == DELIVERY_FAILED);
    if (alone && !str_equal(address, walk->recipient->address)) return add_forward(walk, address, sender, owned, true);
    walk_say(walk, address, answer->action, answer->status, answer->text);
}
