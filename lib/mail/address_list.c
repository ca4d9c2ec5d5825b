/* address_list: one pass over an address header, member by member. */
#include "address_list.h"
#include "address.h"

enum place {
    IN_PHRASE, /* display name, or a local part without brackets */
    IN_ANGLE,  /* after '<', before '@' */
    IN_ROUTE,  /* "<@one,@two:" */
    IN_DOMAIN,
    AFTER_ANGLE,
};

/* What is known of the member being read. */
struct member {
    enum place place;
    bool angle; /* '<' was seen */
    bool bad;
    bool gap; /* blanks or a comment since the last word */
    bool in_group;
    bool group;   /* no member: the name of a group that begins */
    bool quoted;  /* a quoted string was read, perhaps an empty one */
    size_t words; /* in the phrase, dots joining their neighbours */
    size_t begin;
};

void address_list_begin(struct address_list *list, struct str field, size_t limit) {
    *list = (struct address_list){.field = field, .limit = limit > 0 ? limit : ADDRESS_LIST_MAX};
    list->local = buf_make(ADDRESS_LIST_ITEM_MAX);
    list->domain = buf_make(ADDRESS_LIST_ITEM_MAX);
    list->display = buf_make(ADDRESS_LIST_ITEM_MAX);
    list->comment = buf_make(ADDRESS_LIST_ITEM_MAX);
    list->route = buf_make(ADDRESS_LIST_ITEM_MAX);
}

void address_list_free(struct address_list *list) {
    buf_free(&list->local);
    buf_free(&list->domain);
    buf_free(&list->display);
    buf_free(&list->comment);
    buf_free(&list->route);
}

static void member_reset(struct address_list *list, struct member *member) {
    *member = (struct member){.begin = list->offset, .in_group = list->in_group};
    buf_clear(&list->local);
    buf_clear(&list->domain);
    buf_clear(&list->display);
    buf_clear(&list->comment);
    buf_clear(&list->route);
}

/* The comment at the offset; its text replaces that of an earlier one. */
static bool read_comment(struct address_list *list) {
    size_t depth = 0;
    buf_clear(&list->comment);
    while (list->offset < list->field.length) {
        char c = list->field.data[list->offset++];
        if (c == '\r' || c == '\n') continue;
        if (c == '(' && depth++ == 0) continue;
        if (c == ')' && --depth == 0) return true;
        if (c == '\\' && list->offset < list->field.length) c = list->field.data[list->offset++];
        buf_append_char(&list->comment, c);
    }
    return false;
}

/* True if a and b are neighbours in one dotted word though blanks part them. */
static bool dot_joins(const struct buf *before, char next) {
    return before->length == 0 || before->data[before->length - 1] == '.' || next == '.';
}

/* Before a word goes into the phrase: count it, put back one space. */
static void phrase_word(struct address_list *list, struct member *member, char first) {
    if (member->words == 0 || (member->gap && !dot_joins(&list->local, first))) member->words++;
    if (member->gap && list->display.length > 0) buf_append_char(&list->display, ' ');
}

static bool read_quoted(struct address_list *list, struct member *member) {
    bool phrase = member->place == IN_PHRASE;
    if (phrase) phrase_word(list, member, '"');
    if (!phrase && member->place != IN_ANGLE) member->bad = true;
    member->quoted = true;
    list->offset++;
    while (list->offset < list->field.length) {
        char c = list->field.data[list->offset++];
        if (c == '"') return true;
        if (c == '\r' || c == '\n') continue;
        if (c == '\\' && list->offset < list->field.length) c = list->field.data[list->offset++];
        buf_append_char(&list->local, c);
        if (phrase) buf_append_char(&list->display, c);
    }
    return false;
}

/* "[...]" as a domain, blanks inside taken out. */
static bool read_literal(struct address_list *list, struct member *member) {
    bool route = member->place == IN_ROUTE;
    struct buf *domain = route ? &list->route : &list->domain;
    if (!route && (member->place != IN_DOMAIN || domain->length > 0)) member->bad = true;
    while (list->offset < list->field.length) {
        char c = list->field.data[list->offset++];
        if (!ascii_is_space(c)) buf_append_char(domain, c);
        if (c == ']') return true;
    }
    return false;
}

static bool ends_atom(char c) {
    static const bool ends[256] = {
        ['('] = true, [')'] = true,  ['<'] = true,  ['>'] = true,  ['['] = true, [']'] = true,
        [':'] = true, [';'] = true,  ['@'] = true,  ['\\'] = true, [','] = true, ['"'] = true,
        [' '] = true, ['\t'] = true, ['\r'] = true, ['\n'] = true, ['\0'] = true};
    return ends[(unsigned char)c];
}

static void read_atom(struct address_list *list, struct member *member) {
    size_t begin = list->offset;
    while (list->offset < list->field.length && !ends_atom(list->field.data[list->offset]))
        list->offset++;
    struct str atom = str_slice(list->field, begin, list->offset);
    switch (member->place) {
    case IN_PHRASE:
        phrase_word(list, member, atom.data[0]);
        buf_append(&list->display, atom);
        buf_append(&list->local, atom);
        break;
    case IN_ANGLE:
        if (member->gap && !dot_joins(&list->local, atom.data[0])) member->bad = true;
        buf_append(&list->local, atom);
        break;
    case IN_DOMAIN:
        if (member->gap && !dot_joins(&list->domain, atom.data[0])) member->bad = true;
        buf_append(&list->domain, atom);
        break;
    case IN_ROUTE:
        buf_append(&list->route, atom);
        break;
    case AFTER_ANGLE:
        member->bad = true;
        break;
    }
}

static void read_at(struct address_list *list, struct member *member) {
    bool local = list->local.length > 0;
    if (member->place == IN_ANGLE && !local && !member->quoted) {
        member->place = IN_ROUTE;
        buf_append_char(&list->route, '@');
    } else if (member->place == IN_PHRASE || member->place == IN_ANGLE) {
        if (!local || (member->place == IN_PHRASE && member->words != 1)) member->bad = true;
        member->place = IN_DOMAIN;
    } else if (member->place == IN_ROUTE) {
        buf_append_char(&list->route, '@');
    } else {
        member->bad = true;
    }
}

static void read_colon(struct address_list *list, struct member *member) {
    if (member->place == IN_ROUTE) {
        member->place = IN_ANGLE;
    } else if (member->place == IN_PHRASE && !list->in_group) {
        list->in_group = true;
        member->group = list->groups;
        if (!member->group) member_reset(list, member);
    } else {
        member->bad = true;
    }
}

static void read_angle_open(struct address_list *list, struct member *member) {
    if (member->place != IN_PHRASE) {
        member->bad = true;
        return;
    }
    member->place = IN_ANGLE;
    member->angle = true;
    member->quoted = false;
    buf_clear(&list->local);
}

static void read_angle_close(struct member *member, const struct address_list *list) {
    if (!member->angle || member->place == IN_PHRASE || member->place == AFTER_ANGLE) member->bad = true;
    if (member->place == IN_ROUTE) member->bad = true;
    if (member->place == IN_DOMAIN && list->domain.length == 0) member->bad = true;
    member->place = AFTER_ANGLE;
}

/* Reads up to and with the member's separator; false at the field's end. */
static bool read_member(struct address_list *list, struct member *member, size_t *end) {
    while (list->offset < list->field.length) {
        char c = list->field.data[list->offset];
        bool blank = ascii_is_space(c);
        *end = list->offset;
        switch (c) {
        case '(':
            blank = true;
            if (!read_comment(list)) member->bad = true;
            break;
        case '"':
            if (!read_quoted(list, member)) member->bad = true;
            break;
        case '[':
            if (!read_literal(list, member)) member->bad = true;
            break;
        case ',':
            list->offset++;
            if (member->place != IN_ROUTE) return true;
            buf_append_char(&list->route, ',');
            break;
        case ';':
            list->offset++;
            list->group_ended = list->groups && list->in_group;
            list->in_group = false;
            return true;
        case '@':
            list->offset++;
            read_at(list, member);
            break;
        case ':':
            list->offset++;
            read_colon(list, member);
            if (member->group) return true;
            break;
        case '<':
            list->offset++;
            read_angle_open(list, member);
            break;
        case '>':
            list->offset++;
            read_angle_close(member, list);
            break;
        default:
            if (blank) {
                list->offset++;
            } else if (ends_atom(c)) { /* a stray ')', ']', '\\' or NUL */
                list->offset++;
                member->bad = true;
            } else {
                read_atom(list, member);
            }
        }
        member->gap = blank || (member->gap && c == ':');
    }
    *end = list->field.length;
    return false;
}

/* Nothing at all between two separators. */
static bool member_is_empty(const struct member *member, const struct address_list *list) {
    return !member->bad && member->place == IN_PHRASE && member->words == 0 && !member->quoted &&
           list->local.length == 0;
}

static bool member_is_address(const struct member *member, const struct address_list *list) {
    if (member->bad || buf_overflowed(&list->local) || buf_overflowed(&list->domain)) return false;
    if (member->angle) return member->place == AFTER_ANGLE;
    if (member->place == IN_DOMAIN) return list->domain.length > 0;
    return member->words == 1 && list->local.length > 0;
}

/* Gives what one member's bytes are; false if they are nothing. */
static bool take_member(struct address_list *list, const struct member *member, size_t end,
                        struct address_list_item *item, enum address_list_result *result) {
    if (!member->group && member_is_empty(member, list)) return false;
    list->count++;
    *item = (struct address_list_item){.in_group = member->in_group};
    item->source = str_trim(str_slice(list->field, member->begin, end));
    struct str display = str_trim(buf_str(&list->display));
    if (member->group) {
        item->display = display;
        *result = ADDRESS_LIST_GROUP;
    } else if (member_is_address(member, list)) {
        item->local = buf_str(&list->local);
        item->domain = buf_str(&list->domain);
        item->route = buf_str(&list->route);
        item->display = member->angle && display.length > 0 ? display : str_trim(buf_str(&list->comment));
        *result = ADDRESS_LIST_ITEM;
    } else {
        *result = ADDRESS_LIST_INVALID;
    }
    return true;
}

enum address_list_result address_list_next(struct address_list *list, struct address_list_item *item) {
    enum address_list_result result = ADDRESS_LIST_END;
    for (;;) {
        if (list->group_ended) {
            list->group_ended = false;
            return ADDRESS_LIST_GROUP_END;
        }
        if (list->offset >= list->field.length) break;
        if (list->count >= list->limit) return ADDRESS_LIST_TOO_MANY;
        struct member member;
        size_t end = list->offset;
        member_reset(list, &member);
        read_member(list, &member, &end);
        if (take_member(list, &member, end, item, &result)) return result;
    }
    if (!list->groups || !list->in_group) return ADDRESS_LIST_END;
    list->in_group = false;
    return ADDRESS_LIST_GROUP_END;
}

bool address_list_salvage(struct str source, struct address_list_item *item) {
    size_t open = str_find_last(source, '<'), close;
    struct str address, local, domain;
    if (open == STR_NONE) return false;
    address = str_from_offset(source, open + 1);
    close = str_find(address, '>');
    if (close == STR_NONE || !str_cut(str_slice(address, 0, close), '@', &local, &domain)) return false;
    if (local.length == 0 || domain.length == 0 || str_find(domain, '@') != STR_NONE) return false;
    for (size_t i = 0; i < close; i++)
        if ((unsigned char)address.data[i] <= ' ' || address.data[i] == '"' || address.data[i] == '\\') return false;
    item->display = str_trim(str_slice(source, 0, open));
    item->local = local;
    item->domain = domain;
    return true;
}

/* Atoms and blanks alone need no quotes (RFC 5322 phrase). */
static bool is_plain_phrase(struct str display) {
    for (size_t i = 0; i < display.length; i++) {
        char c = display.data[i];
        if (c == '.' || (c != ' ' && (ends_atom(c) || (unsigned char)c < ' ' || c == 0x7f))) return false;
    }
    return true;
}

bool address_list_append_mailbox(struct buf *out, struct str display, struct str address_external) {
    display = str_trim(display);
    if (display.length == 0) return buf_append(out, address_external);
    bool quote = !is_plain_phrase(display);
    if (quote) buf_append_char(out, '"');
    for (size_t i = 0; i < display.length; i++) {
        char c = display.data[i];
        bool control = (unsigned char)c < ' ' || c == 0x7f;
        if (c == '"' || c == '\\') buf_append_char(out, '\\');
        buf_append_char(out, control ? ' ' : c);
    }
    buf_append(out, quote ? STR("\" <") : STR(" <"));
    buf_append(out, address_external);
    return buf_append_char(out, '>');
}
