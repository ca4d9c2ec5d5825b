/* Members of aliases: cutting the list, then saying what each piece is. */
#include "alias_members.h"
#include "buf.h"

#define MEMBER_MAX 8192

/* What is being built; items double in the arena, the old ones stay there. */
struct collection {
    struct arena *arena;
    struct alias_member *items;
    size_t count;
    size_t capacity;
    size_t limit;
};

/* White space parts words in the source, but none of it is part of a member
 * except a tab in a command: a line end in a value would be a second line to
 * whoever writes it somewhere. */
static bool has_control(struct str value) {
    for (size_t i = 0; i < value.length; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) return true;
    }
    return false;
}

static bool add(struct collection *all, enum alias_member_kind kind, struct str value, struct failure *failure) {
    if (has_control(value)) return failure_set(failure, "a control character in a member");
    if (all->count >= all->limit) return failure_set(failure, "more than %zu members", all->limit);
    if (all->count == all->capacity) {
        size_t more = all->capacity == 0 ? 4 : all->capacity * 2;
        struct alias_member *grown = arena_allocate(all->arena, more, sizeof *grown);
        if (grown == NULL) return failure_set(failure, "the list is too long");
        if (all->count > 0) memcpy(grown, all->items, all->count * sizeof *grown);
        all->items = grown;
        all->capacity = more;
    }
    struct str kept;
    if (!arena_copy(all->arena, value, &kept)) return failure_set(failure, "the list is too long");
    all->items[all->count++] = (struct alias_member){.kind = kind, .value = kept};
    return true;
}

/* The text up to the next comma that is not in quotes, a comment or < >. */
static bool cut_member(struct str *rest, struct str *member, struct failure *failure) {
    bool quoted = false;
    size_t comments = 0;
    bool angle = false;
    size_t i = 0;
    for (; i < rest->length; i++) {
        char c = rest->data[i];
        if (c == '\\') i++;
        else if (c == '"' && comments == 0) quoted = !quoted;
        else if (quoted) continue;
        else if (c == '(') comments++;
        else if (c == ')' && comments > 0) comments--;
        else if (comments > 0) continue;
        else if (c == '<') angle = true;
        else if (c == '>') angle = false;
        else if (c == ',' && !angle) break;
    }
    if (quoted) return failure_set(failure, "unbalanced '\"'");
    if (comments > 0) return failure_set(failure, "unbalanced '('");
    if (angle) return failure_set(failure, "unbalanced '<'");
    if (i > rest->length) i = rest->length;
    *member = str_trim(str_slice(*rest, 0, i));
    *rest = str_from_offset(*rest, i + 1 > rest->length ? rest->length : i + 1);
    return true;
}

/* If text is one quoted string as a whole, its content without the quoting. */
static bool unquote_whole(struct str text, struct buf *plain) {
    if (text.length < 2 || text.data[0] != '"') return false;
    buf_clear(plain);
    for (size_t i = 1; i < text.length; i++) {
        char c = text.data[i];
        if (c == '"') return i + 1 == text.length;
        if (c == '\\' && i + 1 < text.length) c = text.data[++i];
        if (!buf_append_char(plain, c)) return false;
    }
    return false;
}

/* An address without comments and white space around dots, from "phrase <address>"
 * what is in the < >; quoted strings stay as they are. */
struct address_text {
    struct buf text;
    size_t words; /* runs parted by white space outside of quotes */
    bool had_angle;
    bool closed; /* the > was seen */
};

static bool take_address_char(struct address_text *address, char c, bool *gap, struct failure *failure) {
    if (address->closed) return failure_set(failure, "text after >");
    if (*gap && address->text.length > 0) {
        char last = address->text.data[address->text.length - 1];
        /* RFC 5322 obsolete forms have space around "." and "@"; elsewhere it parts words. */
        if (last != '.' && last != '@' && c != '.' && c != '@') address->words++;
    }
    *gap = false;
    if (!buf_append_char(&address->text, c)) return failure_set(failure, "an address is too long");
    return true;
}

static bool read_address(struct str member, struct address_text *address, struct failure *failure) {
    bool gap = false;
    bool quoted = false;
    size_t comments = 0;
    for (size_t i = 0; i < member.length; i++) {
        char c = member.data[i];
        bool escaped = c == '\\' && i + 1 < member.length;
        if (comments > 0) {
            if (escaped) i++;
            else if (c == '(') comments++;
            else if (c == ')') comments--;
        } else if (quoted || escaped || c == '"') {
            if (!take_address_char(address, c, &gap, failure)) return false;
            if (escaped && !take_address_char(address, member.data[++i], &gap, failure)) return false;
            if (c == '"') quoted = !quoted;
        } else if (c == '(') {
            comments = 1;
            gap = true;
        } else if (ascii_is_space(c)) {
            gap = true;
        } else if (c == '<') {
            if (address->had_angle) return failure_set(failure, "more than one <");
            address->had_angle = true;
            buf_clear(&address->text);
            address->words = 0;
            gap = false;
        } else if (c == '>') {
            if (!address->had_angle || address->closed) return failure_set(failure, "unbalanced '>'");
            address->closed = true;
        } else if (!take_address_char(address, c, &gap, failure)) {
            return false;
        }
    }
    return true;
}

static bool add_address(struct collection *all, struct str member, struct failure *failure) {
    struct address_text address = {.text = buf_make(MEMBER_MAX)};
    bool sound = read_address(member, &address, failure);
    if (sound && address.words > 0)
        sound = failure_set(failure, "\"%.*s\": white space within an address (a comma is missing?)",
                            STR_ARGS(member));
    struct str text = buf_str(&address.text);
    /* "\name", sendmail's way of saying "do not expand further": the name is meant. */
    if (sound && text.length > 1 && text.data[0] == '\\') text = str_from_offset(text, 1);
    if (sound && text.length == 0) {
        /* A comment alone is nothing; <> and "" are a mistake. */
        if (address.had_angle) sound = failure_set(failure, "an empty address");
    } else if (sound && str_equal(text, STR("\"\""))) {
        sound = failure_set(failure, "an empty address");
    } else if (sound) {
        sound = add(all, ALIAS_ADDRESS, text, failure);
    }
    buf_free(&address.text);
    return sound;
}

/* text starts with |, / or :include:, and is free of outer quotes. */
static bool add_special(struct collection *all, struct str text, struct failure *failure) {
    struct buf plain = buf_make(MEMBER_MAX);
    enum alias_member_kind kind = ALIAS_FILE;
    if (text.data[0] == '|') {
        kind = ALIAS_COMMAND;
        text = str_trim(str_from_offset(text, 1));
    } else if (text.data[0] == ':') {
        kind = ALIAS_INCLUDE;
        text = str_trim(str_from_offset(text, STR(":include:").length));
    }
    if (unquote_whole(text, &plain)) text = buf_str(&plain);
    bool sound = true;
    if (text.length == 0) {
        sound = failure_set(failure, "nothing after %s", kind == ALIAS_COMMAND ? "|" : ":include:");
    } else if (text.length > MEMBER_MAX) {
        sound = failure_set(failure, "a member is longer than %d bytes", MEMBER_MAX);
    } else if (kind == ALIAS_INCLUDE && text.data[0] != '/') {
        sound = failure_set(failure, ":include: wants an absolute path, not \"%.*s\"", STR_ARGS(text));
    }
    sound = sound && add(all, kind, text, failure);
    buf_free(&plain);
    return sound;
}

static bool is_special(struct str text) {
    if (text.length == 0) return false;
    return text.data[0] == '|' || text.data[0] == '/' || str_starts_nocase(text, STR(":include:"));
}

static bool add_member(struct collection *all, struct str member, struct failure *failure) {
    struct buf plain = buf_make(MEMBER_MAX);
    bool special = false;
    if (is_special(member)) {
        special = true;
    } else if (unquote_whole(member, &plain) && is_special(buf_str(&plain))) {
        special = true;
        member = buf_str(&plain);
    }
    bool sound = special ? add_special(all, member, failure) : add_address(all, member, failure);
    buf_free(&plain);
    return sound;
}

static bool parse_list(struct collection *all, struct str text, struct failure *failure) {
    if (str_find(text, '\0') != STR_NONE) return failure_set(failure, "a NUL byte in the list");
    while (text.length > 0) {
        struct str member = STR_EMPTY;
        if (!cut_member(&text, &member, failure)) return false;
        if (member.length > 0 && !add_member(all, member, failure)) return false;
    }
    return true;
}

bool alias_members_parse(struct str text, size_t limit, struct arena *arena, struct alias_members *members,
                         struct failure *failure) {
    struct collection all = {.arena = arena, .limit = limit};
    if (!parse_list(&all, text, failure)) return false;
    *members = (struct alias_members){.items = all.items, .count = all.count};
    return true;
}

bool alias_members_parse_file(struct str content, size_t limit, struct arena *arena, struct alias_members *members,
                              struct failure *failure) {
    struct collection all = {.arena = arena, .limit = limit};
    bool sound = true;
    for (size_t number = 1; sound && content.length > 0; number++) {
        struct str line = content;
        if (!str_cut(content, '\n', &line, &content)) content = STR_EMPTY;
        line = str_trim(line);
        if (line.length == 0 || line.data[0] == '#') continue;
        sound = parse_list(&all, line, failure);
        if (!sound) (void)failure_prefix(failure, "line %zu", number);
    }
    if (sound) *members = (struct alias_members){.items = all.items, .count = all.count};
    return sound;
}
