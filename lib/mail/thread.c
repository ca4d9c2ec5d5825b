/* thread: ORDEREDSUBJECT, and the tree of REFERENCES and REFS.
 *
 * The steps are those of RFC 5256 3. Nodes are numbers: 0 is none, 1 to count are the messages in their order, what
 * follows are dummies. Only parents are kept while the tree grows; lists of children are made from them, in the
 * order of dates, when it is complete. */
#include "thread.h"
#include "hash.h"
#include "memory.h"
#include "sort_order.h"
#include "thread_tree.h"

struct node {
    uint32_t parent;
    uint32_t first, last; /* children */
    uint32_t next;        /* sibling */
    bool placed;          /* a message, or a dummy that stays */
};

struct threads {
    const struct thread_message *messages;
    size_t count;       /* of messages */
    struct node *nodes; /* node_count + 1 */
    size_t node_count, room;
    uint32_t *order; /* the messages by date */
    bool by_latest;  /* threads on top by their latest message, not by their first */
};

static bool is_dummy(const struct threads *t, uint32_t node) {
    return node > t->count;
}

static const struct thread_message *message_of(const struct threads *t, uint32_t node) {
    return &t->messages[node - 1];
}

static uint32_t add_node(struct threads *t) {
    if (t->node_count + 1 >= t->room) {
        size_t room = t->room * 2;
        t->nodes = memory_resize(t->nodes, room, sizeof *t->nodes);
        t->room = room;
    }
    t->nodes[++t->node_count] = (struct node){0};
    return (uint32_t)t->node_count;
}

/* ---- order of dates */

struct dated {
    int64_t date;
    uint32_t node;
};

static int64_t date_of(const struct threads *t, uint32_t node) {
    return message_of(t, node)->sent;
}

static bool comes_before(const struct dated *x, const struct dated *y) {
    return x->date != y->date ? x->date < y->date : x->node < y->node;
}

/* By date, and what has the same date by its node. */
static void sort_dated(struct dated *dated, size_t count) {
    size_t i = 1;
    bool nodes_rise = true;
    for (; i < count && comes_before(&dated[i - 1], &dated[i]); i++)
        nodes_rise = nodes_rise && dated[i - 1].node < dated[i].node;
    if (i >= count) return;
    for (; nodes_rise && i < count; i++)
        nodes_rise = dated[i - 1].node < dated[i].node;
    uint32_t *order = memory_allocate(count, sizeof *order);
    uint64_t *keys = memory_allocate(count, sizeof *keys);
    struct dated *sorted = memory_allocate(count, sizeof *sorted);
    sort_order_begin(order, count);
    for (size_t k = 0; k < count; k++)
        keys[k] = dated[k].node;
    if (!nodes_rise) sort_order_by_numbers(order, count, keys, false);
    for (size_t k = 0; k < count; k++)
        keys[k] = sort_order_key(dated[k].date);
    sort_order_by_numbers(order, count, keys, false);
    for (size_t k = 0; k < count; k++)
        sorted[k] = dated[order[k]];
    memcpy(dated, sorted, count * sizeof *sorted);
    MEMORY_FREE(order);
    MEMORY_FREE(keys);
    MEMORY_FREE(sorted);
}

static void sort_messages(struct threads *t) {
    uint64_t *keys = memory_allocate(t->count, sizeof *keys);
    t->order = memory_allocate(t->count, sizeof *t->order);
    sort_order_begin(t->order, t->count);
    for (size_t i = 0; i < t->count; i++)
        keys[i] = sort_order_key(date_of(t, (uint32_t)i + 1));
    sort_order_by_numbers(t->order, t->count, keys, false);
    for (size_t i = 0; i < t->count; i++)
        t->order[i]++;
    MEMORY_FREE(keys);
}

/* ---- message IDs to nodes: open addressing, under a factor that nobody knows */

struct id_entry {
    uint64_t id; /* 0: free */
    uint32_t node;
};

struct id_table {
    struct id_entry *entries;
    size_t room, used; /* room is a power of two */
    uint64_t factor;
};

static struct id_entry *id_place(const struct id_table *table, uint64_t id) {
    size_t at = (size_t)((id * table->factor) >> 32) & (table->room - 1);
    while (table->entries[at].id != 0 && table->entries[at].id != id)
        at = (at + 1) & (table->room - 1);
    return &table->entries[at];
}

static void id_table_make(struct id_table *table, size_t room) {
    *table = (struct id_table){.room = room, .factor = hash_keyed(STR("thread")) | 1};
    table->entries = memory_allocate(room, sizeof *table->entries);
}

static void id_table_free(struct id_table *table) {
    MEMORY_FREE(table->entries);
}

static void id_table_grow(struct id_table *table) {
    struct id_table larger;
    id_table_make(&larger, table->room * 2);
    for (size_t i = 0; i < table->room; i++)
        if (table->entries[i].id != 0) *id_place(&larger, table->entries[i].id) = table->entries[i];
    larger.used = table->used;
    id_table_free(table);
    *table = larger;
}

/* The node's place in the table, made if it is new: its value is 0 then, to be set by the caller. */
static uint32_t *id_node(struct id_table *table, uint64_t id) {
    if (table->used * 2 >= table->room) id_table_grow(table);
    struct id_entry *entry = id_place(table, id);
    table->used += entry->id == 0;
    entry->id = id;
    return &entry->node;
}

/* ---- step 1: the tree by references */

struct linker {
    struct threads *threads;
    struct id_table ids;
    struct thread_tree tree;
};

/* Makes child, which has no parent, a child of parent, unless that closes a circle. */
static void link_nodes(struct linker *linker, uint32_t parent, uint32_t child) {
    if (!thread_tree_link(&linker->tree, parent, child)) return;
    linker->threads->nodes[child].parent = parent;
}

/* Every message has its ID; the first counts where two have the same. */
static void register_messages(struct linker *linker) {
    struct threads *t = linker->threads;
    for (uint32_t node = 1; node <= t->count; node++) {
        uint64_t id = message_of(t, node)->message_id;
        if (id == 0) continue;
        uint32_t *known = id_node(&linker->ids, id);
        if (*known == 0) *known = node;
    }
}

static uint32_t find_reference(struct linker *linker, uint64_t id) {
    uint32_t *known = id_node(&linker->ids, id);
    if (*known == 0) {
        *known = add_node(linker->threads);
        thread_tree_grow(&linker->tree, linker->threads->node_count);
    }
    return *known;
}

/* Steps 1.A and 1.B for one message. */
static void link_message(struct linker *linker, uint32_t node) {
    struct threads *t = linker->threads;
    const struct thread_message *message = message_of(t, node);
    uint32_t before = 0;
    size_t skip =
        message->reference_count > THREAD_REFERENCES_MAX ? message->reference_count - THREAD_REFERENCES_MAX : 0;
    for (size_t i = skip; i < message->reference_count; i++) {
        if (message->references[i] == 0) continue;
        uint32_t reference = find_reference(linker, message->references[i]);
        if (before != 0 && t->nodes[reference].parent == 0) link_nodes(linker, before, reference);
        before = reference;
    }
    if (t->nodes[node].parent == before) return;
    if (t->nodes[node].parent != 0) thread_tree_cut(&linker->tree, node);
    t->nodes[node].parent = 0;
    if (before != 0) link_nodes(linker, before, node);
}

static void link_all(struct threads *t) {
    struct linker linker = {.threads = t};
    size_t room = 1024;
    while (room < t->count * 4)
        room *= 2;
    id_table_make(&linker.ids, room);
    thread_tree_grow(&linker.tree, t->node_count);
    register_messages(&linker);
    for (uint32_t node = 1; node <= t->count; node++)
        link_message(&linker, node);
    id_table_free(&linker.ids);
    thread_tree_free(&linker.tree);
}

/* ---- steps 2 and 3: dummies go, but for those on top that hold several threads together */

/* For each node the dummy on top of it, or the first message above it: 0 for what is on top itself. Parents come
 * before their children in what is looked at: each way up is gone once, and then remembered. */
static void find_parents(struct threads *t) {
    uint32_t *above = memory_allocate(t->node_count + 1, sizeof *above);
    uint32_t *way = memory_allocate(t->node_count + 1, sizeof *way);
    for (uint32_t node = 1; node <= t->node_count; node++) {
        size_t length = 0;
        uint32_t at = node;
        while (t->nodes[at].parent != 0 && above[at] == 0) {
            way[length++] = at;
            at = t->nodes[at].parent;
            if (!is_dummy(t, at)) break;
        }
        /* at is a message, on top, or a dummy whose own place is known. */
        uint32_t place = is_dummy(t, at) && above[at] != 0 ? above[at] : at;
        while (length > 0)
            above[way[--length]] = place;
    }
    for (uint32_t node = 1; node <= t->node_count; node++)
        t->nodes[node].parent = above[node];
    MEMORY_FREE(above);
    MEMORY_FREE(way);
}

/* Keeps the messages, and the dummies with two or more of them; a dummy's only message comes on top. */
static void prune(struct threads *t) {
    uint32_t *messages = memory_allocate(t->node_count + 1, sizeof *messages);
    find_parents(t);
    for (uint32_t node = 1; node <= t->count; node++)
        messages[t->nodes[node].parent]++;
    for (uint32_t node = 1; node <= t->node_count; node++) {
        uint32_t parent = t->nodes[node].parent;
        t->nodes[node].placed = is_dummy(t, node) ? parent == 0 && messages[node] > 1 : true;
        if (is_dummy(t, parent) && messages[parent] == 1) t->nodes[node].parent = 0;
    }
    MEMORY_FREE(messages);
}

/* ---- lists of children, and of what is on top */

static void add_child(struct threads *t, uint32_t parent, uint32_t child) {
    struct node *node = &t->nodes[parent];
    t->nodes[child].next = 0;
    if (node->first == 0) {
        node->first = child;
    } else {
        t->nodes[node->last].next = child;
    }
    node->last = child;
}

/* Siblings in the order of their dates (steps 4 and 6). Node 0 holds the messages on top; dummies are not in it. */
static void make_children(struct threads *t) {
    for (size_t i = 0; i <= t->node_count; i++)
        t->nodes[i].first = t->nodes[i].last = 0;
    for (size_t i = 0; i < t->count; i++)
        add_child(t, t->nodes[t->order[i]].parent, t->order[i]);
}

/* The message that stands for a thread: a dummy's first child. */
static uint32_t head_of(const struct threads *t, uint32_t node) {
    return is_dummy(t, node) ? t->nodes[node].first : node;
}

/* REFS: the latest date of each thread on top. What comes last in the order is the latest, and each message goes up
 * only to where one came before. */
static int64_t *find_latest(const struct threads *t) {
    int64_t *latest = memory_allocate(t->node_count + 1, sizeof *latest);
    bool *seen = memory_allocate(t->node_count + 1, sizeof *seen);
    for (size_t i = t->count; i-- > 0;) {
        int64_t date = date_of(t, t->order[i]);
        for (uint32_t at = t->order[i]; at != 0 && !seen[at]; at = t->nodes[at].parent) {
            seen[at] = true;
            latest[at] = date;
        }
    }
    MEMORY_FREE(seen);
    return latest;
}

/* What is on top, in its order; *count of them. To be freed. */
static struct dated *list_top(const struct threads *t, size_t *count) {
    int64_t *latest = t->by_latest ? find_latest(t) : NULL;
    struct dated *top = memory_allocate(t->node_count + 1, sizeof *top);
    size_t found = 0;
    for (uint32_t node = 1; node <= t->node_count; node++) {
        if (!t->nodes[node].placed || t->nodes[node].parent != 0) continue;
        uint32_t head = head_of(t, node);
        top[found++] = (struct dated){latest != NULL ? latest[node] : date_of(t, head), head};
    }
    sort_dated(top, found);
    /* The head was there for ties: now the thread itself. */
    for (size_t i = 0; i < found; i++) {
        uint32_t parent = t->nodes[top[i].node].parent;
        if (parent != 0) top[i].node = parent;
    }
    MEMORY_FREE(latest);
    *count = found;
    return top;
}

/* ---- step 5: threads of one subject */

struct subject_entry {
    uint64_t hash;
    uint32_t node; /* 0: free */
};

struct subject_table {
    struct subject_entry *entries;
    size_t room;
};

static struct str subject_of(const struct threads *t, uint32_t node) {
    return message_of(t, head_of(t, node))->subject;
}

/* The place of a subject; hash is hash_keyed of it. */
static uint32_t *subject_place(const struct threads *t, const struct subject_table *table, struct str subject,
                               uint64_t hash) {
    size_t at = (size_t)hash & (table->room - 1);
    struct subject_entry *entry = &table->entries[at];
    while (entry->node != 0 && (entry->hash != hash || !str_equal(subject_of(t, entry->node), subject))) {
        at = (at + 1) & (table->room - 1);
        entry = &table->entries[at];
    }
    entry->hash = hash;
    return &entry->node;
}

static bool is_reply(const struct threads *t, uint32_t node) {
    return !is_dummy(t, node) && message_of(t, node)->reply;
}

/* Step 5.B.iv. */
static bool replaces(const struct threads *t, uint32_t known, uint32_t node) {
    if (known == 0) return true;
    if (is_dummy(t, known)) return false;
    return is_dummy(t, node) || (is_reply(t, known) && !is_reply(t, node));
}

static void move_children(struct threads *t, uint32_t from, uint32_t to) {
    for (uint32_t child = t->nodes[from].first, next; child != 0; child = next) {
        next = t->nodes[child].next;
        t->nodes[child].parent = to;
        add_child(t, to, child);
    }
    t->nodes[from].first = t->nodes[from].last = 0;
    t->nodes[from].placed = false;
}

/* Step 5.C.iv: node joins what the table has for its subject. */
static void merge(struct threads *t, uint32_t *known, uint32_t node) {
    if (is_dummy(t, *known) && is_dummy(t, node)) {
        move_children(t, node, *known);
    } else if (is_dummy(t, *known) || (is_reply(t, node) && !is_reply(t, *known))) {
        t->nodes[node].parent = *known;
        add_child(t, *known, node);
    } else {
        uint32_t dummy = add_node(t);
        t->nodes[dummy].placed = true;
        t->nodes[node].parent = t->nodes[*known].parent = dummy;
        add_child(t, dummy, *known);
        add_child(t, dummy, node);
        *known = dummy;
    }
}

static void merge_subjects(struct threads *t) {
    size_t count = 0;
    struct dated *top = list_top(t, &count);
    struct subject_table table = {.room = 16};
    while (table.room < count * 2)
        table.room *= 2;
    table.entries = memory_allocate(table.room, sizeof *table.entries);
    uint64_t *hashes = memory_allocate(count, sizeof *hashes);
    for (size_t i = 0; i < count; i++) {
        struct str subject = subject_of(t, top[i].node);
        if (subject.length == 0) continue;
        hashes[i] = hash_keyed(subject);
        uint32_t *known = subject_place(t, &table, subject, hashes[i]);
        if (replaces(t, *known, top[i].node)) *known = top[i].node;
    }
    for (size_t i = 0; i < count; i++) {
        uint32_t node = top[i].node;
        struct str subject = subject_of(t, node);
        if (subject.length == 0 || t->nodes[node].parent != 0) continue;
        uint32_t *known = subject_place(t, &table, subject, hashes[i]);
        if (*known != node) merge(t, known, node);
    }
    MEMORY_FREE(hashes);
    MEMORY_FREE(table.entries);
    MEMORY_FREE(top);
}

/* ---- writing: down to the first child, on to the sibling, up, by what the nodes say */

static bool has_one_child(const struct threads *t, uint32_t node) {
    return t->nodes[node].first != 0 && t->nodes[t->nodes[node].first].next == 0;
}

/* True if the node begins a list of its own. */
static bool opens_list(const struct threads *t, uint32_t node) {
    uint32_t parent = t->nodes[node].parent;
    return parent == 0 || is_dummy(t, parent) || !has_one_child(t, parent);
}

static void write_node(const struct threads *t, uint32_t node, struct buf *out) {
    uint32_t parent = t->nodes[node].parent;
    bool first = parent != 0 && t->nodes[parent].first == node;
    if (first && !is_dummy(t, parent)) buf_append_char(out, ' ');
    if (opens_list(t, node)) buf_append_char(out, '(');
    if (!is_dummy(t, node)) buf_append_u64(out, message_of(t, node)->number);
}

static void write_thread(const struct threads *t, uint32_t top, struct buf *out) {
    for (uint32_t node = top;;) {
        write_node(t, node, out);
        if (t->nodes[node].first != 0) {
            node = t->nodes[node].first;
            continue;
        }
        for (;;) {
            if (opens_list(t, node)) buf_append_char(out, ')');
            if (node == top) return;
            if (t->nodes[node].next != 0) break;
            node = t->nodes[node].parent;
        }
        node = t->nodes[node].next;
    }
}

static void thread_references(struct threads *t, bool subjects, struct buf *out) {
    size_t count = 0;
    link_all(t);
    prune(t);
    sort_messages(t);
    make_children(t);
    if (subjects) {
        merge_subjects(t);
        make_children(t);
    }
    struct dated *top = list_top(t, &count);
    for (size_t i = 0; i < count && !buf_overflowed(out); i++)
        write_thread(t, top[i].node, out);
    MEMORY_FREE(top);
}

/* ---- ORDEREDSUBJECT: the first message of a subject, all others its children */

static void thread_by_subject(struct threads *t, struct buf *out) {
    size_t count = 0;
    struct subject_table table = {.room = 16};
    while (table.room < t->count * 2)
        table.room *= 2;
    table.entries = memory_allocate(table.room, sizeof *table.entries);
    sort_messages(t);
    for (size_t i = 0; i < t->count; i++) {
        uint32_t node = t->order[i];
        struct str subject = message_of(t, node)->subject;
        uint32_t *known = subject_place(t, &table, subject, hash_keyed(subject));
        t->nodes[node].placed = true;
        t->nodes[node].parent = *known;
        if (*known == 0) *known = node;
    }
    make_children(t);
    struct dated *top = list_top(t, &count);
    for (size_t i = 0; i < count && !buf_overflowed(out); i++)
        write_thread(t, top[i].node, out);
    MEMORY_FREE(top);
    MEMORY_FREE(table.entries);
}

bool thread_append(struct buf *out, enum thread_algorithm algorithm, const struct thread_message *messages,
                   size_t count) {
    struct threads t = {.messages = messages, .count = count, .node_count = count, .room = count + 64};
    if (count == 0) return true;
    t.nodes = memory_allocate(t.room, sizeof *t.nodes);
    t.by_latest = algorithm == THREAD_REFS;
    switch (algorithm) {
    case THREAD_ORDEREDSUBJECT:
        thread_by_subject(&t, out);
        break;
    case THREAD_REFERENCES:
        thread_references(&t, true, out);
        break;
    case THREAD_REFS:
        thread_references(&t, false, out);
        break;
    }
    MEMORY_FREE(t.nodes);
    MEMORY_FREE(t.order);
    return !buf_overflowed(out);
}
