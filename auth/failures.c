/* failures: see failures.h. */
#include "failures.h"
#include "hash.h"
#include "ip_prefix.h"
#include "memory.h"
#include "xtext.h"
#include <arpa/inet.h>

#define HARD_FACTOR    20    /* times account_failures: then even addresses without a mistake are refused */
#define FORGIVE_EVERY  60    /* seconds */
#define BANS_FORGOTTEN 86400 /* seconds after a ban's end: the next one is a first one again */
#define SUBJECT_MAX    ((size_t)256)
#define REASON_MAX     ((size_t)200)
#define SECOND_CHANCES 8
#define CLOCK_LEAVE    60 /* seconds that a clock may be set back without anybody noticing */

struct record {
    struct record *newer, *older; /* by when it was last heard of */
    enum failures_kind kind;
    uint32_t count; /* wrong logins since begun */
    int64_t begun;
    uint32_t bans;               /* so far, which makes the next one longer */
    int64_t ban_begun, ban_ends; /* 0: none */
    int64_t known;               /* pairs and addresses: the last right login; 0: none */
    int64_t forgiven;            /* addresses: the last failure that was taken off */
    bool by_operator;
    char *reason; /* of the operator */
    size_t length;
    char subject[];
};

/* The records of one kind. */
struct roll {
    struct map *map;
    struct record *newest, *oldest;
};

struct failures {
    struct failures_limits limits;
    struct roll rolls[FAILURES_PAIR + 1];
    uint64_t changes;
    int64_t looked; /* the last time that expiry was looked for */
};

/* ---- records */

struct failures *failures_create(const struct failures_limits *limits) {
    struct failures *failures = MEMORY_NEW(struct failures);
    failures->limits = *limits;
    for (size_t i = 0; i < ARRAY_LENGTH(failures->rolls); i++)
        failures->rolls[i].map = map_create();
    return failures;
}

static struct str subject_of(const struct record *record) {
    return str_make(record->subject, record->length);
}

static void unlink_record(struct roll *roll, struct record *record) {
    *(record->newer ? &record->newer->older : &roll->newest) = record->older;
    *(record->older ? &record->older->newer : &roll->oldest) = record->newer;
}

static void link_newest(struct roll *roll, struct record *record) {
    record->newer = NULL;
    record->older = roll->newest;
    *(roll->newest ? &roll->newest->newer : &roll->oldest) = record;
    roll->newest = record;
}

static void forget(struct failures *failures, struct record *record) {
    struct roll *roll = &failures->rolls[record->kind];
    unlink_record(roll, record);
    map_remove(roll->map, subject_of(record));
    MEMORY_FREE(record->reason);
    MEMORY_FREE(record);
}

void failures_destroy(struct failures **failures) {
    struct failures *gone = *failures;
    if (!gone) return;
    for (size_t i = 0; i < ARRAY_LENGTH(gone->rolls); i++) {
        for (struct record *record = gone->rolls[i].oldest, *next; record; record = next) {
            next = record->newer;
            MEMORY_FREE(record->reason);
            MEMORY_FREE(record);
        }
        map_destroy(&gone->rolls[i].map);
    }
    MEMORY_FREE(*failures);
}

static struct record *find(const struct failures *failures, enum failures_kind kind, struct str subject) {
    return subject.length ? map_get(failures->rolls[kind].map, subject) : NULL;
}

/* Those that are kept out, or known, are passed over a few times. */
static void make_room(struct failures *failures, struct roll *roll, int64_t now) {
    for (unsigned chances = 0; map_count(roll->map) >= failures->limits.records && roll->oldest;) {
        struct record *oldest = roll->oldest;
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): the oldest has no older one, so the list moves on */
        if (oldest->ban_ends > now && chances++ < SECOND_CHANCES) {
            unlink_record(roll, oldest);
            link_newest(roll, oldest);
        } else {
            forget(failures, oldest);
        }
    }
}

/* The record, made if there is none, and now the newest of its kind. */
static struct record *touch(struct failures *failures, enum failures_kind kind, struct str subject, int64_t now) {
    struct roll *roll = &failures->rolls[kind];
    struct record *record = map_get(roll->map, subject);
    if (record) {
        unlink_record(roll, record);
        link_newest(roll, record);
        return record;
    }
    make_room(failures, roll, now);
    record = memory_allocate(1, sizeof *record + subject.length + 1);
    record->kind = kind;
    record->length = subject.length;
    memcpy(record->subject, subject.data, subject.length);
    map_put(roll->map, subject, record);
    link_newest(roll, record);
    return record;
}

static struct str pair_key(struct buf *key, struct str address, struct str account) {
    if (address.length == 0 || account.length == 0) return STR_EMPTY;
    buf_printf(key, "%.*s %.*s", STR_ARGS(address), STR_ARGS(account));
    return buf_str(key);
}

/* ---- addresses */

bool failures_address_key(struct str address, struct buf *key) {
    struct ip_prefix prefix;
    char text[INET6_ADDRSTRLEN];
    if (!ip_address_parse(address, &prefix)) return false;
    if (prefix.is_ipv6) memset(prefix.bytes + 8, 0, 8);
    if (!inet_ntop(prefix.is_ipv6 ? AF_INET6 : AF_INET, prefix.bytes, text, sizeof text)) return false;
    return buf_printf(key, "%s%s", text, prefix.is_ipv6 ? "/64" : "");
}

/* ---- judging */

static uint32_t count_of(const struct failures *failures, const struct record *record, int64_t now) {
    return record && now - record->begun < failures->limits.window ? record->count : 0;
}

static bool is_known(const struct failures *failures, const struct record *pair, int64_t now) {
    return pair && pair->known && now - pair->known < failures->limits.known_time &&
           count_of(failures, pair, now) < failures->limits.address_failures;
}

static bool is_banned(const struct record *record, int64_t now) {
    return record && record->ban_ends > now;
}

enum failures_gate failures_check(const struct failures *failures, struct str address, struct str account, int64_t now,
                                  int64_t *until) {
    const struct record *of_address = find(failures, FAILURES_ADDRESS, address);
    const struct record *of_account = find(failures, FAILURES_ACCOUNT, account);
    bool address_banned = is_banned(of_address, now), account_banned = is_banned(of_account, now);
    if (!address_banned && !account_banned) return GATE_OPEN;
    struct buf key = buf_make(0);
    bool known = is_known(failures, find(failures, FAILURES_PAIR, pair_key(&key, address, account)), now);
    buf_free(&key);
    if (address_banned && (of_address->by_operator || !known)) {
        *until = of_address->ban_ends;
        return GATE_ADDRESS_BANNED;
    }
    if (!account_banned || (known && !of_account->by_operator)) return GATE_OPEN;
    bool clean = address.length > 0 && count_of(failures, of_address, now) == 0;
    uint64_t hard = (uint64_t)failures->limits.account_failures * HARD_FACTOR;
    if (!of_account->by_operator && clean && count_of(failures, of_account, now) < hard) return GATE_OPEN;
    *until = of_account->ban_ends;
    return GATE_ACCOUNT_BANNED;
}

unsigned failures_rank(const struct failures *failures, struct str address, struct str account, int64_t now) {
    struct buf key = buf_make(0);
    const struct record *pair = find(failures, FAILURES_PAIR, pair_key(&key, address, account));
    buf_free(&key);
    if (is_known(failures, pair, now) && count_of(failures, pair, now) == 0) return 0;
    uint32_t of_address = count_of(failures, find(failures, FAILURES_ADDRESS, address), now);
    uint32_t of_account = count_of(failures, find(failures, FAILURES_ACCOUNT, account), now);
    const struct record *address_record = find(failures, FAILURES_ADDRESS, address);
    bool trusted = address_record && address_record->known && now - address_record->known < failures->limits.window;
    if (of_address == 0) return of_account == 0 || trusted ? 1 : 2;
    return of_address < FAILURES_RANK_MAX - 2 ? of_address + 2 : FAILURES_RANK_MAX;
}

/* ---- counting */

static void add_failure(const struct failures *failures, struct record *record, int64_t now) {
    if (now - record->begun >= failures->limits.window || now < record->begun) {
        record->count = 0;
        record->begun = now;
    }
    if (record->count < UINT32_MAX) record->count++;
}

static void begin_ban(const struct failures *failures, struct record *record, int64_t now) {
    int64_t length = failures->limits.ban_time;
    if (record->bans && now - record->ban_ends > BANS_FORGOTTEN) record->bans = 0;
    for (uint32_t i = 0; i < record->bans && length < failures->limits.ban_time_limit; i++)
        length *= 2;
    if (length > failures->limits.ban_time_limit) length = failures->limits.ban_time_limit;
    if (record->bans < UINT32_MAX) record->bans++;
    record->ban_begun = now;
    record->ban_ends = now + length;
    record->by_operator = false;
    MEMORY_FREE(record->reason);
}

static bool count_one(struct failures *failures, enum failures_kind kind, struct str subject, uint32_t limit,
                      int64_t now, uint32_t *count, int64_t *ends) {
    if (subject.length == 0 || subject.length > SUBJECT_MAX) return false;
    struct record *record = touch(failures, kind, subject, now);
    add_failure(failures, record, now);
    *count = record->count;
    /* One ban for each time that the limit is reached: what comes through it (known addresses) does not lengthen it. */
    if (limit == 0 || record->count < limit || is_banned(record, now)) return false;
    begin_ban(failures, record, now);
    *ends = record->ban_ends;
    return true;
}

void failures_wrong(struct failures *failures, struct str address, struct str account, bool exempt, int64_t now,
                    struct failures_news *news) {
    struct buf key = buf_make(0);
    *news = (struct failures_news){0};
    failures->changes++;
    uint32_t address_limit = exempt ? 0 : failures->limits.address_failures, ignored = 0;
    news->address_banned =
        count_one(failures, FAILURES_ADDRESS, address, address_limit, now, &news->address_count, &news->address_ends);
    news->account_banned = count_one(failures, FAILURES_ACCOUNT, account, failures->limits.account_failures, now,
                                     &news->account_count, &news->account_ends);
    /* Only pairs that once logged in are of interest: strangers may not push those out. */
    struct record *pair = find(failures, FAILURES_PAIR, pair_key(&key, address, account));
    int64_t no_ban = 0;
    if (pair) (void)count_one(failures, FAILURES_PAIR, buf_str(&key), 0, now, &ignored, &no_ban);
    buf_free(&key);
}

void failures_right(struct failures *failures, struct str address, struct str account, int64_t now) {
    struct buf key = buf_make(0);
    struct record *of_address = address.length ? touch(failures, FAILURES_ADDRESS, address, now) : NULL;
    if (of_address) of_address->known = now;
    if (of_address && of_address->count && !is_banned(of_address, now) && now - of_address->forgiven >= FORGIVE_EVERY) {
        of_address->count--;
        of_address->forgiven = now;
    }
    struct str subject = pair_key(&key, address, account);
    if (subject.length && subject.length <= SUBJECT_MAX * 2) {
        struct record *pair = touch(failures, FAILURES_PAIR, subject, now);
        if (pair->count || now - pair->known > FORGIVE_EVERY) failures->changes++;
        pair->known = now;
        pair->count = 0;
    }
    buf_free(&key);
}

/* ---- operators */

void failures_ban(struct failures *failures, enum failures_kind kind, struct str subject, struct str reason,
                  int64_t seconds, int64_t now) {
    if (subject.length == 0 || subject.length > SUBJECT_MAX) return;
    struct record *record = touch(failures, kind, subject, now);
    MEMORY_FREE(record->reason);
    record->reason = memory_copy_string(str_slice(reason, 0, REASON_MAX));
    record->by_operator = true;
    record->ban_begun = now;
    record->ban_ends = now + seconds;
    failures->changes++;
}

static bool lift(struct record *record) {
    bool was = record->ban_ends > 0 || record->count > 0;
    record->count = record->bans = 0;
    record->ban_begun = record->ban_ends = 0;
    record->by_operator = false;
    MEMORY_FREE(record->reason);
    return was;
}

bool failures_lift(struct failures *failures, enum failures_kind kind, struct str subject) {
    bool lifted = false;
    failures->changes++;
    if (subject.length) {
        struct record *record = find(failures, kind, subject);
        return record && lift(record);
    }
    for (struct record *record = failures->rolls[kind].newest; record; record = record->older)
        lifted = lift(record) || lifted;
    return lifted;
}

static int order(enum failures_kind kind, struct str subject, enum failures_kind other_kind, struct str other) {
    return kind != other_kind ? (kind < other_kind ? -1 : 1) : str_compare(subject, other);
}

static void describe(const struct record *record, struct failures_ban *ban) {
    struct str reason = record->kind == FAILURES_ADDRESS
                            ? STR("too many wrong logins from this address")
                            : STR("too many wrong logins for this account; known and clean addresses are let in");
    if (record->by_operator)
        reason = record->reason && *record->reason ? str_from(record->reason) : STR("by an operator");
    *ban = (struct failures_ban){.kind = record->kind,
                                 .subject = subject_of(record),
                                 .reason = reason,
                                 .failures = record->count,
                                 .begun = record->ban_begun,
                                 .ends = record->ban_ends};
}

bool failures_cursor(const struct failures_ban *ban, struct buf *cursor) {
    return buf_printf(cursor, "%c%.*s", ban->kind == FAILURES_ACCOUNT ? 'A' : 'I', STR_ARGS(ban->subject));
}

static int by_subject(const void *a, const void *b) {
    const struct record *one = *(const struct record *const *)a, *other = *(const struct record *const *)b;
    return order(one->kind, subject_of(one), other->kind, subject_of(other));
}

static bool is_after(const struct record *record, struct str cursor) {
    if (cursor.length == 0) return true;
    enum failures_kind kind = cursor.data[0] == 'I' ? FAILURES_ADDRESS : FAILURES_ACCOUNT;
    return order(record->kind, subject_of(record), kind, str_from_offset(cursor, 1)) > 0;
}

size_t failures_bans(const struct failures *failures, struct str after, int64_t now, struct failures_ban *bans,
                     size_t room) {
    size_t most = map_count(failures->rolls[FAILURES_ACCOUNT].map) + map_count(failures->rolls[FAILURES_ADDRESS].map);
    const struct record **found = memory_allocate(most + 1, sizeof *found);
    size_t count = 0;
    for (enum failures_kind kind = FAILURES_ACCOUNT; kind <= FAILURES_ADDRESS; kind++)
        for (const struct record *record = failures->rolls[kind].newest; record; record = record->older)
            if (is_banned(record, now) && is_after(record, after)) found[count++] = record;
    if (count) qsort(found, count, sizeof *found, by_subject);
    if (count > room) count = room;
    for (size_t i = 0; i < count; i++)
        describe(found[i], &bans[i]);
    free(found);
    return count;
}

/* ---- time and disk */

static bool matters(const struct failures *failures, const struct record *record, int64_t now) {
    if (is_banned(record, now) || count_of(failures, record, now) > 0) return true;
    if (record->bans && now - record->ban_ends < BANS_FORGOTTEN) return true;
    int64_t known_time = record->kind == FAILURES_PAIR ? failures->limits.known_time : failures->limits.window;
    return record->known && now - record->known < known_time;
}

static void set_back(int64_t *date, int64_t seconds) {
    if (*date) *date = *date > seconds ? *date - seconds : 1;
}

/* The dates, which have to outlive the process, are the system clock's. Where that is set back, as by a machine that
 * finds out the time only after its start, they are too: else a ban would last until the clock has come there again. */
static void follow_clock(struct failures *failures, int64_t now) {
    int64_t back = failures->looked - now;
    failures->looked = now;
    if (back <= CLOCK_LEAVE) return;
    for (size_t i = 0; i < ARRAY_LENGTH(failures->rolls); i++)
        for (struct record *record = failures->rolls[i].oldest; record; record = record->newer) {
            int64_t *dates[] = {&record->begun, &record->ban_begun, &record->ban_ends, &record->known,
                                &record->forgiven};
            for (size_t k = 0; k < ARRAY_LENGTH(dates); k++)
                set_back(dates[k], back);
        }
    failures->changes++;
}

void failures_expire(struct failures *failures, int64_t now) {
    follow_clock(failures, now);
    for (size_t i = 0; i < ARRAY_LENGTH(failures->rolls); i++) {
        struct record *record = failures->rolls[i].oldest;
        for (unsigned looked = 0; record && looked < 1000; looked++) {
            struct record *next = record->newer;
            if (!matters(failures, record, now)) forget(failures, record);
            record = next;
        }
    }
}

uint64_t failures_changes(const struct failures *failures) {
    return failures->changes;
}

static const char kind_letters[] = {'A', 'I', 'P'};

/* By the letter of its kind; NULL: none. */
static const char *kind_of(struct str word) {
    return word.length == 1 ? memchr(kind_letters, word.data[0], sizeof kind_letters) : NULL;
}

/* Oldest first, so that reading them in makes the same order. */
bool failures_write(const struct failures *failures, int64_t now, struct buf *text) {
    for (size_t i = 0; i < ARRAY_LENGTH(failures->rolls); i++)
        for (const struct record *record = failures->rolls[i].oldest; record; record = record->newer) {
            if (!matters(failures, record, now)) continue;
            buf_printf(text, "%c %u %lld %u %lld %lld %lld %d ", kind_letters[i], record->count,
                       (long long)record->begun, record->bans, (long long)record->ban_begun,
                       (long long)record->ban_ends, (long long)record->known, record->by_operator);
            xtext_encode(text, subject_of(record));
            buf_append_char(text, ' ');
            xtext_encode(text, str_from(record->reason ? record->reason : ""));
            if (!buf_append_char(text, '\n')) return false;
        }
    return true;
}

static bool read_line(struct failures *failures, struct str line, int64_t now) {
    struct str words[7], kind, subject_text, reason_text = STR_EMPTY;
    uint64_t numbers[ARRAY_LENGTH(words)];
    struct buf subject = buf_make(SUBJECT_MAX * 2 + 2), reason = buf_make(REASON_MAX);
    if (!str_next_word(&line, " ", &kind) || !kind_of(kind)) return false;
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++)
        if (!str_next_word(&line, " ", &words[i]) || !str_to_u64(words[i], INT64_MAX / 4, &numbers[i])) return false;
    bool good = str_next_word(&line, " ", &subject_text) && xtext_decode(&subject, subject_text) && subject.length &&
                numbers[0] <= UINT32_MAX && numbers[2] <= UINT32_MAX;
    (void)str_next_word(&line, " ", &reason_text);
    if (good && xtext_decode(&reason, reason_text)) {
        enum failures_kind number = (enum failures_kind)(kind_of(kind) - kind_letters);
        struct record *record = touch(failures, number, buf_str(&subject), now);
        if (numbers[0] > record->count) record->count = (uint32_t)numbers[0];
        if ((int64_t)numbers[1] > record->begun) record->begun = (int64_t)numbers[1];
        if (numbers[2] > record->bans) record->bans = (uint32_t)numbers[2];
        if ((int64_t)numbers[5] > record->known) record->known = (int64_t)numbers[5];
        if ((int64_t)numbers[4] > record->ban_ends) {
            record->ban_begun = (int64_t)numbers[3];
            record->ban_ends = (int64_t)numbers[4];
            record->by_operator = numbers[6] != 0;
            MEMORY_FREE(record->reason);
            if (reason.length) record->reason = memory_copy_string(buf_str(&reason));
        }
        /* A date of the future, from a clock that was wrong, may keep nobody out for longer than a ban is. */
        int64_t most = record->by_operator ? INT64_C(315360000) : failures->limits.ban_time_limit;
        if (record->ban_ends > now + most) record->ban_ends = now + most;
        if (record->begun > now) record->begun = now;
        if (record->known > now) record->known = now;
    }
    buf_free(&subject);
    buf_free(&reason);
    return good;
}

size_t failures_read(struct failures *failures, struct str text, int64_t now) {
    size_t good = 0;
    struct str line;
    while (str_cut(text, '\n', &line, &text))
        good += read_line(failures, line, now);
    return good;
}
