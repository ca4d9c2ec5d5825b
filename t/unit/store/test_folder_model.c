/* Three clients and another program do what they like with one folder, some thousand steps by a seed; a simple model
 * says what must come of it. Each client keeps what it was told, as a mail program does, and after each synchronising
 * that must be what is there. TERN_TEST_SEED runs another seed alone. */
#include "setup.h"

#define CLIENTS  3
#define MESSAGES 6000
#define NAMES    5
#define LETTERS  6

struct model_message {
    uint32_t text; /* which text it has */
    unsigned system, keywords;
    int64_t date; /* the internal date, which the store may not have looked up yet */
    bool alive;
};

struct client {
    struct folder *folder;
    uint32_t shown[MESSAGES]; /* UIDs by sequence number */
    uint32_t count;
    unsigned system[MESSAGES], keywords[MESSAGES]; /* by UID, as it was told */
};

static struct {
    struct model_message messages[MESSAGES]; /* by UID */
    uint32_t next, text, dropped, moved;
    struct client clients[CLIENTS];
    uint64_t random;
    unsigned step;
} * model;

static const char *const names[NAMES] = {"alpha", "Beta", "$Label1", "delta", "e"};
static const char letters[] = "DFPRST";

static uint32_t chance(uint32_t below) {
    model->random ^= model->random << 13;
    model->random ^= model->random >> 7;
    model->random ^= model->random << 17;
    return (uint32_t)(model->random >> 33) % below;
}

static uint32_t text_of(uint32_t number, char text[32]) {
    return (uint32_t)snprintf(text, 32, "Subject: %u\n\nbody\n", number);
}

/* ---- what a client knows */

static void fetch(struct client *client, uint32_t sequence) {
    struct folder_message message;
    folder_message(client->folder, sequence, &message);
    client->system[message.uid] = message.flags.system & 63U;
    client->keywords[message.uid] = 0;
    for (unsigned i = 0; i < NAMES; i++) {
        int bit = folder_keyword_bit(client->folder, str_from(names[i]));
        if (bit >= 0 && (message.flags.keywords >> bit & 1)) client->keywords[message.uid] |= 1U << i;
    }
}

static void fetch_set(struct client *client, const struct uid_set *uids) {
    for (uint32_t sequence = 1; sequence <= client->count; sequence++)
        if (uid_set_has(uids, client->shown[sequence - 1])) fetch(client, sequence);
}

/* UIDs had together are those had one by one. */
static void check_uids(const struct client *client) {
    uint32_t *uids = memory_allocate(client->count + 1, sizeof *uids), run;
    folder_uids(client->folder, 1, client->count, uids);
    if (client->count > 0) assert_memory_equal(uids, client->shown, client->count * sizeof *uids);
    for (uint32_t sequence = 1; sequence <= client->count; sequence += run) {
        run = folder_uid_run(client->folder, sequence);
        assert_in_range(run, 1, client->count - sequence + 1);
        uint32_t end = sequence + run; /* the first that is not in it */
        assert_int_equal(client->shown[end - 2], client->shown[sequence - 1] + run - 1);
        if (end <= client->count) assert_int_not_equal(client->shown[end - 1], client->shown[sequence - 1] + run);
    }
    MEMORY_FREE(uids);
}

static void check_view(const struct client *client) {
    check_uids(client);
    if (folder_count(client->folder) != client->count)
        fail_msg("step %u: %u messages, %u told", model->step, folder_count(client->folder), client->count);
    for (uint32_t sequence = 1; sequence <= client->count; sequence++) {
        uint32_t uid = client->shown[sequence - 1];
        if (folder_uid(client->folder, sequence) != uid || folder_sequence(client->folder, uid) != sequence)
            fail_msg("step %u: %u is UID %u, not %u", model->step, sequence, folder_uid(client->folder, sequence), uid);
    }
}

static void told(struct client *client, const struct folder_changes *changes) {
    for (size_t i = 0; i < changes->expunged_count; i++) {
        uint32_t sequence = changes->expunged[i];
        assert_in_range(sequence, 1, client->count);
        assert_true(uid_set_has(&changes->expunged_uids, client->shown[sequence - 1]));
        memmove(&client->shown[sequence - 1], &client->shown[sequence],
                (client->count - sequence) * sizeof *client->shown);
        client->count--;
    }
    uint32_t before = client->count;
    while (client->count < folder_count(client->folder)) {
        client->shown[client->count] = folder_uid(client->folder, client->count + 1);
        fetch(client, ++client->count);
    }
    assert_int_equal(changes->grew, client->count > before);
    for (size_t i = 0; i < changes->changed_count; i++)
        fetch(client, changes->changed[i]);
}

/* What the client knows is what the model says. */
static void check_client(const struct client *client) {
    uint32_t sequence = 0;
    for (uint32_t uid = 1; uid < model->next; uid++) {
        const struct model_message *message = &model->messages[uid];
        if (!message->alive) continue;
        if (sequence == client->count || client->shown[sequence] != uid)
            fail_msg("step %u: UID %u is missing", model->step, uid);
        if (client->system[uid] != message->system || client->keywords[uid] != message->keywords)
            fail_msg("step %u: UID %u was told as %x %x and is %x %x", model->step, uid, client->system[uid],
                     client->keywords[uid], message->system, message->keywords);
        sequence++;
    }
    assert_int_equal(sequence, client->count);
    assert_int_equal(folder_uid_next(client->folder), model->next);
}

static void synchronise(struct client *client, bool keep_expunged) {
    struct folder_changes changes;
    assert_ok(folder_sync(client->folder, keep_expunged, &changes, &setup.failure));
    assert_false(changes.renewed);
    if (keep_expunged) assert_int_equal(changes.expunged_count, 0);
    told(client, &changes);
    folder_changes_free(&changes);
    check_view(client);
    if (!keep_expunged) check_client(client);
}

static void open_anew(struct client *client) {
    client->folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    client->count = 0;
    struct folder_changes none = {.grew = folder_count(client->folder) > 0};
    told(client, &none);
    check_client(client);
}

/* Some of the UIDs that the client sees; alive_only: none of those that are gone. */
static struct uid_set some_uids(const struct client *client, bool alive_only) {
    struct uid_set uids = {0};
    uint32_t from = client->count ? chance(client->count) : 0, step = 1 + chance(3), most = 1 + chance(8);
    for (uint32_t i = from; i < client->count && most > 0; i += step) {
        if (alive_only && !model->messages[client->shown[i]].alive) continue;
        uid_set_add(&uids, client->shown[i], client->shown[i]);
        most--;
    }
    return uids;
}

static bool sees(const struct client *client, uint32_t uid) {
    return folder_sequence(client->folder, uid) > 0;
}

/* ---- steps */

static void add_message(uint32_t text, unsigned system, unsigned keywords, int64_t date) {
    assert_true(model->next < MESSAGES);
    model->messages[model->next++] = (struct model_message){text, system, keywords, date, true};
}

/* Each text has a date of its own. */
static int64_t date_of_text(uint32_t text) {
    return 1500000000 + (int64_t)text * 1000;
}

static void step_save(struct client *client) {
    enum store_result result;
    struct uid_set uids = {0};
    uint32_t validity, count = 1 + chance(3), first = model->next;
    struct folder_saving *saving = folder_save_begin(setup.store, INBOX, &result, &setup.failure);
    (void)client;
    assert_non_null(saving);
    if (chance(3) == 0) folder_save_is_delivery(saving);
    for (uint32_t i = 0; i < count; i++) {
        char text[32];
        unsigned system = chance(2) ? chance(64) : 0, keyword = chance(NAMES * 2);
        struct str word = keyword < NAMES ? str_from(names[keyword]) : STR_EMPTY;
        uint32_t length = text_of(++model->text, text);
        assert_ok(
            folder_save_message(saving, system, &word, keyword < NAMES, date_of_text(model->text), &setup.failure));
        assert_ok(folder_save_bytes(saving, str_make(text, length), &setup.failure));
        add_message(model->text, system, keyword < NAMES ? 1U << keyword : 0, date_of_text(model->text));
    }
    assert_ok(folder_save_commit(&saving, &validity, &uids, &setup.failure));
    assert_int_equal(uid_set_size(&uids), count);
    assert_int_equal(uids.ranges[0].first, first);
    uid_set_free(&uids);
}

static void step_store(struct client *client) {
    struct uid_set uids = some_uids(client, false), changed = {0};
    enum flags_change change = (enum flags_change)chance(3);
    unsigned system = chance(64), keyword = chance(NAMES * 2), bits = keyword < NAMES ? 1U << keyword : 0;
    struct str word = keyword < NAMES ? str_from(names[keyword]) : STR_EMPTY;
    struct flags_wish flags = {change, system, &word, keyword < NAMES, 0};
    assert_ok(folder_store(client->folder, &uids, &flags, NULL, &changed, &setup.failure));
    for (uint32_t uid = 1; uid < model->next; uid++) {
        struct model_message *message = &model->messages[uid];
        if (!uid_set_has(&uids, uid) || !message->alive) continue;
        struct model_message before = *message;
        message->system = change == FLAGS_REPLACE ? system
                          : change == FLAGS_ADD   ? message->system | system
                                                  : message->system & ~system;
        message->keywords = change == FLAGS_REPLACE ? bits
                            : change == FLAGS_ADD   ? message->keywords | bits
                                                    : message->keywords & ~bits;
        bool differs = before.system != message->system || before.keywords != message->keywords;
        assert_int_equal(uid_set_has(&changed, uid), differs);
    }
    fetch_set(client, &uids); /* STORE answers for the messages that were asked for */
    uid_set_free(&uids);
    uid_set_free(&changed);
}

static void step_expunge(struct client *client) {
    struct uid_set uids = some_uids(client, false);
    bool all = chance(8) == 0;
    assert_ok(folder_expunge(client->folder, all ? NULL : &uids, &setup.failure));
    for (uint32_t uid = 1; uid < model->next; uid++) {
        struct model_message *message = &model->messages[uid];
        if (message->alive && (message->system & FLAG_DELETED) && sees(client, uid) && (all || uid_set_has(&uids, uid)))
            message->alive = false;
    }
    uid_set_free(&uids);
}

static void step_copy(struct client *client) {
    struct uid_set uids = some_uids(client, true), from = {0}, to = {0};
    bool move = chance(2);
    uint32_t validity;
    assert_ok(
        folder_copy(client->folder, &uids, move ? STR("Other") : INBOX, move, &validity, &from, &to, &setup.failure));
    assert_int_equal(uid_set_size(&from), uid_set_size(&uids));
    assert_int_equal(uid_set_size(&to), uid_set_size(&uids));
    for (uint32_t uid = 1, end = model->next; uid < end; uid++) {
        struct model_message *message = &model->messages[uid];
        if (!uid_set_has(&uids, uid)) continue;
        if (!move) add_message(message->text, message->system, message->keywords, message->date);
        if (move) message->alive = false;
        model->moved += move;
    }
    uid_set_free(&uids);
    uid_set_free(&from);
    uid_set_free(&to);
}

static void step_compact(struct client *client) {
    if (chance(2)) {
        assert_true(folder_settle(client->folder, &setup.failure));
        return;
    }
    assert_true(folder_lock(client->folder, &setup.failure));
    client->folder->names_behind = true;
    folder_unlock(client->folder);
    assert_true(folder_settle(client->folder, &setup.failure));
    assert_true(folder_lock(client->folder, &setup.failure));
    assert_true(folder_snapshot_write(client->folder->directory, &client->folder->state, &setup.failure) &&
                folder_reload(client->folder, &setup.failure));
    folder_unlock(client->folder);
}

/* Another process goes on with the view. */
static void step_restore(struct client *client) {
    synchronise(client, false);
    uint32_t validity = folder_uid_validity(client->folder), next = folder_uid_next(client->folder);
    uint64_t modseq = folder_highest_modseq(client->folder);
    folder_close(&client->folder);
    for (uint32_t i = 0, steps = chance(4); i < steps; i++) {
        struct client *other = &model->clients[chance(CLIENTS)];
        if (!other->folder) continue;
        if (i % 2 == 0) step_store(other);
        if (i == 1) step_expunge(other);
        if (i == 2) step_save(other);
        if (i == 3) step_compact(other);
    }
    client->folder = setup_open_folder(INBOX, FOLDER_READ_WRITE);
    assert_true(folder_restore_view(client->folder, validity, next, modseq));
    check_view(client);
}

static void step_read(struct client *client) {
    struct buf bytes = buf_make(0);
    char text[32];
    struct uid_set uids = some_uids(client, true);
    for (uint32_t sequence = 1; sequence <= client->count; sequence++) {
        uint32_t uid = client->shown[sequence - 1];
        if (!uid_set_has(&uids, uid)) continue;
        text_of(model->messages[uid].text, text);
        assert_text(message_bytes(client->folder, sequence, &bytes), text);
    }
    uid_set_free(&uids);
    buf_free(&bytes);
}

/* Some are asked for their dates; the others' are unknown, or right. */
static void step_date(struct client *client) {
    struct uid_set uids = some_uids(client, true);
    for (uint32_t sequence = 1; sequence <= client->count; sequence++) {
        struct folder_message message;
        uint32_t uid = client->shown[sequence - 1];
        bool asked = uid_set_has(&uids, uid);
        if (!model->messages[uid].alive) continue;
        if (asked)
            folder_message(client->folder, sequence, &message);
        else
            folder_message_known(client->folder, sequence, &message);
        if (message.internal_date != model->messages[uid].date &&
            (asked || message.internal_date != FOLDER_DATE_UNKNOWN))
            fail_msg("step %u: UID %u has date %lld, not %lld", model->step, uid, (long long)message.internal_date,
                     (long long)model->messages[uid].date);
        if (asked || message.size != FOLDER_SIZE_UNKNOWN)
            assert_int_equal(message.size, text_of(model->messages[uid].text, (char[32]){0}));
    }
    uid_set_free(&uids);
}

/* ---- another program; our own changes of the same moment would hide its, so it waits for the next */

static void step_drop(struct client *client) {
    char path[64], text[32];
    bool cur = chance(2);
    (void)client;
    let_dates_grow_old();
    uint32_t length = text_of(++model->text, text);
    char size[16] = "";
    if (chance(2)) snprintf(size, sizeof size, ",S=%u", length); /* then nothing asks for a look at the file */
    snprintf(path, sizeof path, "mail/%s/%u.%u.other%s%s", cur ? "cur" : "new", 1700000000 + model->dropped,
             model->dropped, size, cur ? ":2,FS" : "");
    model->dropped++;
    setup_write_file(path, str_make(text, length));
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = date_of_text(model->text)}};
    assert_int_equal(utimensat(setup.directory, path, times, 0), 0);
    add_message(model->text, cur ? FLAG_FLAGGED | FLAG_SEEN : 0, 0, date_of_text(model->text));
}

static void step_touch(struct client *client) {
    struct buf path = buf_make(0), to = buf_make(0);
    struct str base, info;
    uint8_t flags = 0;
    bool canonical;
    synchronise(client, false);
    let_dates_grow_old();
    if (client->count > 0) {
        uint32_t uid = client->shown[chance(client->count)];
        setup_path_of(client->folder, uid, &path);
        if (!setup_is_there(buf_string(&path))) { /* another client has just written flags into it */
            synchronise(client, false);
            setup_path_of(client->folder, uid, &path);
        }
        assert_true(folder_name_split(str_from_offset(buf_str(&path), sizeof "mail/cur/" - 1), &base, &info));
        folder_info_parse(info, &flags, &canonical);
        if (chance(4) == 0) {
            assert_int_equal(unlinkat(setup.directory, buf_string(&path), 0), 0);
            model->messages[uid].alive = false;
        } else {
            char letter[2] = {letters[chance(LETTERS)]}, one[8];
            uint8_t flag;
            snprintf(one, sizeof one, ":2,%s", letter);
            folder_info_parse(str_from(one), &flag, &canonical);
            buf_printf(&to, "mail/cur/%.*s", STR_ARGS(base));
            folder_info_format(flags ^ flag, &to);
            if (chance(8) == 0) buf_append_char(&to, 'z');
            rename_file(buf_string(&path), buf_string(&to));
            struct model_message *message = &model->messages[uid];
            message->system = flags & flag ? message->system & ~(unsigned)flag : message->system | flag;
        }
    }
    buf_free(&path);
    buf_free(&to);
}

static void one_step(void) {
    struct client *client = &model->clients[chance(CLIENTS)];
    uint32_t choice = chance(100);
    if (choice < 25) {
        synchronise(client, chance(3) == 0);
    } else if (choice < 37) {
        step_save(client);
    } else if (choice < 60) {
        step_store(client);
    } else if (choice < 70) {
        step_expunge(client);
    } else if (choice < 78) {
        step_copy(client);
    } else if (choice < 84) {
        step_compact(client);
    } else if (choice < 87) {
        folder_close(&client->folder);
        open_anew(client);
    } else if (choice < 90) {
        step_restore(client);
    } else if (choice < 92) {
        step_read(client);
    } else if (choice < 94) {
        step_date(client);
    } else {
        if (choice < 96)
            step_drop(client);
        else
            step_touch(client);
        synchronise(&model->clients[chance(CLIENTS)], chance(2));
    }
}

static void run(uint64_t seed, unsigned steps) {
    model = memory_allocate(1, sizeof *model);
    model->next = 1;
    model->random = seed * 0x9e3779b97f4a7c15U + 1;
    assert_ok(store_create(setup.store, STR("Other"), 0, NULL, &setup.failure));
    for (size_t i = 0; i < CLIENTS; i++)
        open_anew(&model->clients[i]);
    for (model->step = 1; model->step <= steps; model->step++)
        one_step();
    uint32_t alive = 0;
    for (uint32_t uid = 1; uid < model->next; uid++)
        alive += model->messages[uid].alive;
    for (size_t i = 0; i < CLIENTS; i++) {
        synchronise(&model->clients[i], false);
        assert_true(folder_settle(model->clients[i].folder, &setup.failure));
        folder_close(&model->clients[i].folder);
    }
    assert_int_equal(count_files("mail/cur") + count_files("mail/new"), alive);
    struct folder_status status;
    assert_ok(folder_status(setup.store, STR("Other"), true, &status, &setup.failure));
    assert_int_equal(status.messages, model->moved);
    assert_ok(folder_status(setup.store, INBOX, true, &status, &setup.failure));
    assert_int_equal(status.messages, alive);
    MEMORY_FREE(model);
}

static void test_model(void **state) {
    const char *given = getenv("TERN_TEST_SEED");
    uint64_t seed = 0;
    if (given && str_to_u64(str_from(given), UINT32_MAX, &seed)) {
        run(seed, 3000);
        return;
    }
    for (seed = 1; seed <= 3; seed++) {
        run(seed, 1000);
        setup_remove(state);
        setup_make(state);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {FOLDER_TEST(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
