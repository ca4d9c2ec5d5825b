/* Unit table of .forward and :include: files, and of the templates that name them. */
#include "setup.h"

static struct str path_of(struct buf *path, const char *name) {
    buf_clear(path);
    buf_printf(path, "%s/%s", setup.top, name);
    return buf_str(path);
}

static void read_with(const char *forward_path) {
    worked_free(&setup.worked);
    setup.worked = (struct worked){0};
    setup.config.forward_path = str_from(forward_path);
}

/* The members as "kind:value" words. */
static void expect_members(const char *wanted) {
    struct ipc_list list = {buf_str(&setup.worked.members), setup.worked.member_count};
    struct buf text = buf_make(0);
    struct ipc_address_row row;
    size_t offset = 0;
    bool bad = false;
    while (ipc_list_next(list, IPC_ROW_ADDRESS, &offset, &row, &bad))
        buf_printf(&text, "%s%d:%.*s", text.length ? ";" : "", (int)row.kind, STR_ARGS(row.value));
    assert_false(bad);
    assert_string_equal(buf_string(&text), wanted);
    buf_free(&text);
}

static void test_members(void **state) {
    (void)state;
    struct buf home = buf_make(0);
    buf_printf(&home, "%s", setup.top);
    setup.work.home = buf_str(&home);
    setup_write(".forward", "# me\nbob@example.org, alice\n\"|cat -n > x\"\n/tmp/file\n:include:/tmp/list\n", 0644);
    read_with("$home/.forward");
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_MEMBERS);
    expect_members("0:bob@example.org;0:alice;1:cat -n > x;2:/tmp/file;3:/tmp/list");
    assert_true(setup.worked.expanded);
    buf_free(&home);
}

static void test_choice(void **state) {
    (void)state;
    struct buf home = buf_make(0);
    buf_printf(&home, "%s", setup.top);
    setup.work.home = buf_str(&home);
    const char *usual = "$home/.forward${recipient_delimiter}${extension}, $home/.forward";
    setup_write(".forward", "plain@example.org\n", 0600);
    setup_write(".forward+list", "list@example.org\n", 0600);
    read_with(usual);
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_MEMBERS);
    expect_members("0:plain@example.org");
    setup.config.recipient_delimiter = STR("+-");
    setup.work.local = STR("alice+list");
    setup.work.extension = STR("list");
    read_with(usual);
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_MEMBERS);
    expect_members("0:list@example.org");
    /* The delimiter is that of the address, not the first of all. */
    setup.work.local = STR("alice-other");
    setup.work.extension = STR("other");
    setup_write(".forward-other", "minus@example.org\n", 0600);
    read_with(usual);
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_MEMBERS);
    expect_members("0:minus@example.org");
    setup.work.local = STR("alice+other");
    read_with(usual);
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_MEMBERS);
    expect_members("0:plain@example.org");
    setup.work.local = STR("alice+/../../etc/passwd");
    setup.work.extension = STR("/../../etc/passwd");
    read_with("$home/.forward${recipient_delimiter}${extension}");
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_NONE);
    buf_free(&home);
}

static void test_not_believed(void **state) {
    (void)state;
    struct buf path = buf_make(0);
    setup_write("open", "bob@example.org\n", 0666);
    setup_write("empty", "", 0600);
    setup_write("comments", "# nothing\n\n", 0600);
    mkdirat(setup.directory, "folder", 0700);
    setup_write("fine", "bob@example.org\n", 0600);
    assert_int_equal(symlinkat("fine", setup.directory, "link"), 0);
    assert_int_equal(mkfifoat(setup.directory, "pipe", 0600), 0);
    static const char *const names[] = {"open", "empty", "comments", "folder", "link", "pipe", "missing"};
    for (size_t i = 0; i < ARRAY_LENGTH(names); i++) {
        path_of(&path, names[i]);
        read_with(buf_string(&path));
        assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_NONE);
        assert_false(setup.worked.expanded);
    }
    if (geteuid() == 0) { /* as root every file of root is one's own; another's is not */
        assert_int_equal(fchownat(setup.directory, "fine", 1, 1, 0), 0);
        path_of(&path, "fine");
        read_with(buf_string(&path));
        assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_NONE);
    }
    setup_write("bad", "\"unclosed\n", 0600);
    path_of(&path, "bad");
    read_with(buf_string(&path));
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_FAILED);
    assert_deferred("4.3.5");
    buf_free(&path);
}

static void test_include(void **state) {
    (void)state;
    struct buf path = buf_make(0);
    setup_write("list", "# members\nbob@example.org\ncarol@example.org, dave\n", 0644);
    setup.work.target = path_of(&path, "list");
    assert_true(include_read(&setup.work, &setup.worked));
    expect_members("0:bob@example.org;0:carol@example.org;0:dave");
    worked_free(&setup.worked);
    setup.worked = (struct worked){0};
    setup_write("list", "x\n", 0666);
    assert_false(include_read(&setup.work, &setup.worked));
    assert_deferred("4.3.5");
    setup.work.target = path_of(&path, "missing");
    assert_false(include_read(&setup.work, &setup.worked));
    assert_deferred(NULL);
    buf_free(&path);
}

static void next_portion(void) {
    setup.work.members_before += setup.worked.member_count;
    setup.work.list_version = setup.worked.list_version;
    worked_free(&setup.worked);
    setup.worked = (struct worked){0};
}

/* A long list is answered in portions, unless it is another one meanwhile. A .forward file is answered whole. */
static void test_portions(void **state) {
    (void)state;
    struct buf path = buf_make(0), list = buf_make(0);
    uint64_t total = 0, portions = 0;
    for (unsigned i = 0; i < 9000; i++)
        buf_printf(&list, "member%05u@example.org\n", i);
    setup_write("list", buf_string(&list), 0644);
    setup.work.target = path_of(&path, "list");
    for (bool more = true; more; portions++) {
        assert_true(include_read(&setup.work, &setup.worked));
        assert_true(setup.worked.members.length <= 60000);
        total += setup.worked.member_count;
        more = setup.worked.more;
        next_portion();
    }
    assert_int_equal(total, 9000);
    assert_true(portions > 2);
    setup.work.members_before = 0;
    assert_true(include_read(&setup.work, &setup.worked));
    next_portion();
    buf_append(&list, STR("new@example.org\n"));
    setup_write("list", buf_string(&list), 0644);
    assert_false(include_read(&setup.work, &setup.worked));
    assert_deferred("4.3.0");
    assert_false(setup.worked.expanded);
    setup.work.target = path_of(&path, "list");
    read_with(buf_string(&path));
    assert_int_equal(forward_read(&setup.config, &setup.work, &setup.worked), FORWARD_FAILED);
    assert_deferred("4.3.5");
    buf_free(&list);
    buf_free(&path);
}

static void test_templates(void **state) {
    (void)state;
    static const struct {
        const char *template, *result;
        bool defined;
    } rows[] = {
        {"$user/x", "alice/x", true},
        {"${local}@${domain}", "alice@example.test", true},
        {"a$extension", "a", false},
        {"${extension?yes}${extension:no}", "no", true},
        {"${user?.$local}", ".alice", true},
        {"$$user", "$user", true},
        {"$unknown", "", false},
        {"end$", "end$", true},
    };
    setup.work.extension = STR_EMPTY;
    for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
        struct buf out = buf_make(0);
        assert_int_equal(expand_template(str_from(rows[i].template), &setup.work, &setup.config, STR_EMPTY, &out),
                         rows[i].defined);
        assert_string_equal(buf_string(&out), rows[i].result);
        buf_free(&out);
    }
    struct buf out = buf_make(0);
    setup.work.local = STR("alice-list");
    setup.work.extension = STR("list");
    setup.work.user = STR_EMPTY;
    expand_template(STR("$user $local"), &setup.work, &setup.config, STR_EMPTY, &out);
    assert_string_equal(buf_string(&out), "alice alice-list");
    buf_clear(&out);
    setup.work.extension = STR("a;b`c");
    expand_template(STR("$extension"), &setup.work, &setup.config, STR("abc"), &out);
    assert_string_equal(buf_string(&out), "a_b_c");
    buf_free(&out);
}

int main(void) {
    static const struct CMUnitTest tests[] = {TEST(test_members), TEST(test_choice),   TEST(test_not_believed),
                                              TEST(test_include), TEST(test_portions), TEST(test_templates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
