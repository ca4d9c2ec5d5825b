/* See folder_name.h. */
#include "folder_name.h"

#include "clock.h"

/* In ASCII order of the letters, as every Maildir program expects it. */
static const struct {
    char letter;
    uint8_t flag;
} info_letters[] = {{'D', FLAG_DRAFT},    {'F', FLAG_FLAGGED}, {'P', FLAG_FORWARDED},
                    {'R', FLAG_ANSWERED}, {'S', FLAG_SEEN},    {'T', FLAG_DELETED}};

void folder_info_format(uint8_t flags, struct buf *text) {
    buf_append(text, STR(":2,"));
    for (size_t i = 0; i < ARRAY_LENGTH(info_letters); i++)
        if (flags & info_letters[i].flag) buf_append_char(text, info_letters[i].letter);
}

void folder_info_parse(struct str info, uint8_t *flags, bool *canonical) {
    char written[3 + ARRAY_LENGTH(info_letters)] = ":2,";
    size_t length = 3;
    *flags = 0;
    if (str_starts(info, STR(":2,")))
        for (size_t i = 3; i < info.length; i++)
            for (size_t k = 0; k < ARRAY_LENGTH(info_letters); k++)
                if (info.data[i] == info_letters[k].letter) *flags |= info_letters[k].flag;
    for (size_t k = 0; k < ARRAY_LENGTH(info_letters); k++)
        if (*flags & info_letters[k].flag) written[length++] = info_letters[k].letter;
    *canonical = str_equal(info, str_make(written, length));
}

bool folder_name_split(struct str file_name, struct str *base, struct str *info) {
    if (file_name.length == 0 || file_name.length > FOLDER_NAME_MAX - 1 || file_name.data[0] == '.') return false;
    size_t colon = str_find(file_name, ':');
    if (colon == 0) return false;
    *base = str_slice(file_name, 0, colon == STR_NONE ? file_name.length : colon);
    *info = colon == STR_NONE ? STR_EMPTY : str_from_offset(file_name, colon);
    return true;
}

void folder_record_path(const struct folder_record *record, struct buf *path) {
    struct str base = record->name, info;
    bool odd = str_cut(record->name, '\0', &base, &info);
    buf_append(path, record->place == PLACE_NEW ? STR("new/") : STR("cur/"));
    buf_append(path, base);
    if (odd)
        buf_append(path, info);
    else if (record->place == PLACE_CUR)
        folder_info_format(record->name_flags, path);
}

struct str folder_name_base(struct str name) {
    struct str base = name, info;
    (void)str_cut(name, '\0', &base, &info);
    return base;
}

static uint64_t leading_number(struct str text) {
    uint64_t number = 0;
    size_t length = 0;
    while (length < text.length && ascii_is_digit(text.data[length]))
        length++;
    return str_to_u64(str_slice(text, 0, length), (uint64_t)1 << 50, &number) ? number : 0;
}

void folder_name_sizes(struct str base, uint64_t *size, uint64_t *virtual_size) {
    struct str before, rest = base;
    bool has_size = false, has_virtual = false; /* the first of each counts */
    *size = *virtual_size = 0;
    while (str_cut(rest, ',', &before, &rest)) {
        struct str number = str_from_offset(rest, 2);
        if (!has_size && str_starts(rest, STR("S="))) {
            *size = leading_number(number);
            has_size = true;
        } else if (!has_virtual && str_starts(rest, STR("W="))) {
            *virtual_size = leading_number(number);
            has_virtual = true;
        }
    }
}

static struct str leading_digits(struct str text) {
    size_t length = 0;
    while (length < text.length && ascii_is_digit(text.data[length]))
        length++;
    return str_slice(text, 0, length);
}

int64_t folder_name_date(struct str base) {
    struct str seconds_text = leading_digits(base), rest = str_slice(base, seconds_text.length, base.length);
    uint64_t seconds, microseconds = 0;
    if (!str_to_u64(seconds_text, (uint64_t)1 << 40, &seconds)) return 0;
    for (size_t i = 1; i < rest.length && rest.data[i] != '.'; i++)
        if (rest.data[i] == 'M' &&
            str_to_u64(leading_digits(str_slice(rest, i + 1, rest.length)), CLOCK_SECOND - 1, &microseconds))
            break;
    return (int64_t)(seconds * CLOCK_SECOND + microseconds);
}
