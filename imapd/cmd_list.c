/* LIST, LSUB, NAMESPACE, STATUS (RFC 9051 6.3.9 to 6.3.11, RFC 5258, 5819, 6154). */
#include "commands.h"
#include "list_pattern.h"

/* ---- STATUS */

enum store_result imap_say_status(struct imap_session *session, struct str mailbox, unsigned items,
                                  struct failure *failure) {
    struct folder_status status;
    struct buf text = buf_make(0);
    bool sizes = items & (STATUS_SIZE | STATUS_DELETED_STORAGE);
    enum store_result result = folder_status(session->store, mailbox, sizes, &status, failure);
    if (result != STORE_OK) return result;
    imap_append_mailbox(&text, mailbox, imap_is_utf8(session));
    buf_append(&text, STR(" ("));
    const struct {
        unsigned item;
        const char *name;
        uint64_t value;
    } rows[] = {{STATUS_MESSAGES, "MESSAGES", status.messages},
                {STATUS_RECENT, "RECENT", status.recent},
                {STATUS_UIDNEXT, "UIDNEXT", status.uid_next},
                {STATUS_UIDVALIDITY, "UIDVALIDITY", status.uid_validity},
                {STATUS_UNSEEN, "UNSEEN", status.unseen},
                {STATUS_DELETED, "DELETED", status.deleted},
                {STATUS_DELETED_STORAGE, "DELETED-STORAGE", status.deleted_size},
                {STATUS_SIZE, "SIZE", status.size},
                {STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", status.highest_modseq},
                {STATUS_APPENDLIMIT, "APPENDLIMIT", session->settings->append_limit}};
    const char *blank = "";
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        if (!(items & rows[i].item)) continue;
        buf_printf(&text, "%s%s %llu", blank, rows[i].name, (unsigned long long)rows[i].value);
        blank = " ";
    }
    if (items & STATUS_MAILBOXID) {
        buf_printf(&text, "%sMAILBOXID (", blank);
        for (int i = 0; i < 16; i++)
            buf_printf(&text, "%02x", status.id[i]);
        buf_append_char(&text, ')');
    }
    imap_say(session, "* STATUS %.*s)\r\n", STR_ARGS(buf_str(&text)));
    buf_free(&text);
    return STORE_OK;
}

IMAP_COMMAND(cmd_status) {
    struct str mailbox;
    struct failure failure = {0};
    unsigned items;
    (void)uid;
    if (!imap_take_mailbox(parser, &mailbox) || !imap_take_space(parser) || !imap_take_status_items(parser, &items) ||
        !imap_take_end(parser))
        return imap_bad(parser);
    if (items & STATUS_HIGHESTMODSEQ) imap_use_condstore(session);
    enum store_result result = imap_say_status(session, mailbox, items, &failure);
    return result == STORE_OK ? imap_ok("Done") : imap_store_trouble(result, &failure);
}

/* ---- LIST */

struct list_run {
    struct imap_session *session;
    const struct imap_list *list;
    struct list_pattern *patterns[64]; /* with the reference before them; NULL: no name can match it */
    struct list_pattern *inbox[64];    /* the same for INBOX and below, where its letters are in another case */
    const struct store_entry *entries;
    size_t count;
};

static bool is_matched(const struct list_pattern *pattern, struct str name) {
    return pattern && (list_pattern_match(pattern, name) & LIST_MATCH_NAME);
}

static bool matches(const struct list_run *run, struct str name) {
    bool at_inbox = str_starts(name, STR("INBOX")) && (name.length == 5 || name.data[5] == '/');
    for (size_t i = 0; i < run->list->pattern_count; i++)
        if (is_matched(run->patterns[i], name) || (at_inbox && is_matched(run->inbox[i], name))) return true;
    return false;
}

static bool is_selected_by_options(const struct list_run *run, const struct store_entry *entry) {
    unsigned options = run->list->options;
    bool subscribed = entry->attributes & STORE_SUBSCRIBED, special = entry->attributes >> STORE_SPECIAL_SHIFT;
    if (options & LIST_SUBSCRIBED && !subscribed) return false;
    if (options & LIST_SPECIAL_USE && !special) return false;
    return (options & LIST_SUBSCRIBED) || !(entry->attributes & STORE_NON_EXISTENT);
}

/* RECURSIVEMATCH: whether something below it is selected; unseen: and does not match the patterns itself. What is below
 * a name comes after it, with nothing between that does not begin with it, too; INBOX is before all. */
static bool has_selected_below(const struct list_run *run, const struct store_entry *entry, bool unseen) {
    for (const struct store_entry *other = entry + 1; other < run->entries + run->count; other++) {
        if (!str_starts(other->name, entry->name)) {
            if (entry > run->entries) break;
        } else if (other->name.data[entry->name.length] == '/' && is_selected_by_options(run, other) &&
                   !(unseen && matches(run, other->name))) {
            return true;
        }
    }
    return false;
}

static void append_attribute(struct buf *text, const char *word) {
    if (text->length > 0) buf_append_char(text, ' ');
    buf_append(text, str_from(word));
}

static void append_attributes(const struct list_run *run, const struct store_entry *entry, struct buf *text) {
    static const char *const specials[] = {"\\All",  "\\Archive", "\\Drafts", "\\Flagged",
                                           "\\Junk", "\\Sent",    "\\Trash",  "\\Important"};
    unsigned attributes = entry->attributes, options = run->list->options;
    /* A mere level is no mailbox; clients that know nothing but RFC 3501 know no other word. */
    if (attributes & (STORE_NON_EXISTENT | STORE_NO_SELECT))
        append_attribute(text, run->list->extended ? "\\NonExistent" : "\\Noselect");
    append_attribute(text, attributes & STORE_HAS_CHILDREN ? "\\HasChildren" : "\\HasNoChildren");
    if (!(attributes & STORE_NO_SELECT)) append_attribute(text, attributes & STORE_MARKED ? "\\Marked" : "\\UnMarked");
    if ((options & (LIST_SUBSCRIBED | LIST_RETURN_SUBSCRIBED)) && (attributes & STORE_SUBSCRIBED))
        append_attribute(text, "\\Subscribed");
    /* Told to those who ask, and to old clients that look for them in any LIST. */
    for (size_t i = 0; i < ARRAY_LENGTH(specials); i++)
        if (attributes >> STORE_SPECIAL_SHIFT >> i & 1) append_attribute(text, specials[i]);
}

static void say_entry(const struct list_run *run, const struct store_entry *entry, bool child_info) {
    struct buf attributes = buf_make(0), name = buf_make(0);
    append_attributes(run, entry, &attributes);
    imap_append_mailbox(&name, entry->name, imap_is_utf8(run->session));
    imap_say(run->session, "* LIST (%.*s) \"/\" %.*s%s\r\n", STR_ARGS(buf_str(&attributes)), STR_ARGS(buf_str(&name)),
             !child_info                                       ? ""
             : !(run->list->options & LIST_SPECIAL_USE)        ? " (\"CHILDINFO\" (\"SUBSCRIBED\"))"
             : !(run->list->options & LIST_SUBSCRIBED)         ? " (\"CHILDINFO\" (\"SPECIAL-USE\"))"
                                                               : " (\"CHILDINFO\" (\"SUBSCRIBED\" \"SPECIAL-USE\"))");
    buf_free(&attributes);
    buf_free(&name);
}

static struct list_pattern *make_pattern(struct str reference, struct str pattern) {
    struct buf text = buf_make(0);
    buf_append(&text, reference);
    buf_append(&text, pattern);
    struct list_pattern *made = list_pattern_create(buf_str(&text), '/', false);
    buf_free(&text);
    return made;
}

/* The pattern with what it has of "INBOX" in upper case: INBOX has no case of its own. NULL: that is the pattern. */
static struct list_pattern *make_inbox_pattern(struct str reference, struct str pattern) {
    static const char name[] = "INBOX";
    struct buf text = buf_make(0);
    bool other = false;
    buf_append(&text, reference);
    buf_append(&text, pattern);
    for (size_t i = 0; i < sizeof name - 1 && i < text.length && ascii_upper(text.data[i]) == name[i]; i++) {
        other = other || text.data[i] != name[i];
        text.data[i] = name[i];
    }
    struct list_pattern *made = other ? list_pattern_create(buf_str(&text), '/', false) : NULL;
    buf_free(&text);
    return made;
}

static void make_patterns(struct list_run *run) {
    for (size_t i = 0; i < run->list->pattern_count; i++) {
        run->patterns[i] = make_pattern(run->list->reference, run->list->patterns[i]);
        run->inbox[i] = make_inbox_pattern(run->list->reference, run->list->patterns[i]);
    }
}

static void free_patterns(struct list_run *run) {
    for (size_t i = 0; i < ARRAY_LENGTH(run->patterns); i++)
        if (run->patterns[i]) list_pattern_free(&run->patterns[i]);
    for (size_t i = 0; i < ARRAY_LENGTH(run->inbox); i++)
        if (run->inbox[i]) list_pattern_free(&run->inbox[i]);
}

/* ---- levels above subscribed names that are gone: RECURSIVEMATCH (RFC 9051 6.3.9.8) and LSUB (RFC 3501 6.3.9) show
 * them */

/* The entries are sorted, but for the first, which is INBOX. */
static bool has_entry(const struct store_entry *entries, size_t count, struct str name) {
    size_t low = 1, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (str_compare(entries[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return (low < count && str_equal(entries[low].name, name)) || str_equal(entries[0].name, name);
}

/* The levels above an entry that nothing before it stands below, and that are no entries themselves. */
static size_t missing_levels(const struct store_entry *entries, size_t count, size_t index,
                             struct store_entry *levels) {
    struct str name = entries[index].name;
    size_t found = 0;
    for (size_t k = 0; (entries[index].attributes & STORE_NON_EXISTENT) && k < name.length; k++) {
        if (name.data[k] != '/' || (index > 0 && str_starts(entries[index - 1].name, str_slice(name, 0, k + 1))))
            continue;
        struct str above = str_slice(name, 0, k);
        if (has_entry(entries, count, above)) continue;
        if (levels)
            levels[found] = (struct store_entry){.name = above, .attributes = STORE_NON_EXISTENT | STORE_NO_SELECT};
        found++;
    }
    return found;
}

/* Puts them before what is below them. False: there is no room. */
static bool add_levels(struct list_run *run) {
    size_t room = run->count, made = 0;
    for (size_t i = 0; i < run->count; i++)
        room += missing_levels(run->entries, run->count, i, NULL);
    if (room == run->count) return true;
    struct store_entry *all = arena_allocate(run->session->arena, room, sizeof *all);
    if (!all) return false;
    for (size_t i = 0; i < run->count; i++) {
        made += missing_levels(run->entries, run->count, i, all + made);
        all[made++] = run->entries[i];
    }
    run->entries = all;
    run->count = made;
    return true;
}

static bool read_entries(struct list_run *run, struct failure *failure) {
    struct store_entry *entries;
    if (!store_list(run->session->store, run->session->arena, &entries, &run->count, failure)) return false;
    run->entries = entries;
    return add_levels(run) || failure_set(failure, "too many mailboxes");
}

static enum store_result say_entries(const struct list_run *run, struct failure *failure) {
    for (size_t i = 0; i < run->count; i++) {
        const struct store_entry *entry = &run->entries[i];
        if (!matches(run, entry->name)) continue;
        bool selected = is_selected_by_options(run, entry);
        /* What is not selected itself is said for what is not said otherwise (RFC 5258 3.3). */
        bool below = (run->list->options & LIST_RECURSIVE_MATCH) && has_selected_below(run, entry, !selected);
        if (!selected && !below) continue;
        say_entry(run, entry, below);
        if (!(run->list->options & LIST_RETURN_STATUS) || !selected || (entry->attributes & STORE_NO_SELECT)) continue;
        enum store_result result = imap_say_status(run->session, entry->name, run->list->status, failure);
        if (result != STORE_OK && result != STORE_MISSING) return result;
    }
    return STORE_OK;
}

IMAP_COMMAND(cmd_list) {
    struct imap_list list;
    struct failure failure = {0};
    (void)uid;
    if (!imap_parse_list(parser, &list)) return imap_bad(parser);
    /* An empty pattern asks for the delimiter. */
    if (!list.extended && list.patterns[0].length == 0) {
        imap_say(session, "* LIST (\\Noselect) \"/\" \"\"\r\n");
        return imap_ok("Done");
    }
    struct list_run run = {.session = session, .list = &list};
    make_patterns(&run);
    enum store_result result = read_entries(&run, &failure) ? say_entries(&run, &failure) : STORE_BROKEN;
    free_patterns(&run);
    return result == STORE_OK ? imap_ok("Done") : imap_store_trouble(result, &failure);
}

/* ---- LSUB (RFC 3501 6.3.9): "%" shows a level above subscribed ones as \Noselect */

IMAP_COMMAND(cmd_lsub) {
    struct str pattern;
    struct imap_list list = {.options = LIST_SUBSCRIBED, .patterns = &pattern, .pattern_count = 1};
    struct list_run run = {.session = session, .list = &list};
    struct failure failure = {0};
    struct buf name = buf_make(0);
    (void)uid;
    if (!imap_take_mailbox_or_empty(parser, &list.reference) || !imap_take_space(parser) ||
        !imap_take_list_mailbox(parser, &pattern) || !imap_take_end(parser))
        return imap_bad(parser);
    make_patterns(&run);
    bool good = read_entries(&run, &failure);
    for (size_t i = 0; good && i < run.count; i++) {
        const struct store_entry *entry = &run.entries[i];
        bool subscribed = entry->attributes & STORE_SUBSCRIBED;
        if (!matches(&run, entry->name) || (!subscribed && !has_selected_below(&run, entry, true))) continue;
        buf_clear(&name);
        imap_append_mailbox(&name, entry->name, imap_is_utf8(session));
        imap_say(session, "* LSUB (%s) \"/\" %.*s\r\n", subscribed ? "" : "\\Noselect", STR_ARGS(buf_str(&name)));
    }
    free_patterns(&run);
    buf_free(&name);
    return good ? imap_ok("Done") : imap_store_trouble(STORE_BROKEN, &failure);
}

IMAP_COMMAND(cmd_namespace) {
    (void)uid;
    if (!imap_take_end(parser)) return imap_bad(parser);
    imap_say(session, "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n");
    return imap_ok("Done");
}
