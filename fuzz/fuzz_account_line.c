/* Fuzz target: a passwd-file: its lines as auth reads them, their quotas, and the changes that tern user makes. */
#include "account_line.h"
#include "account_quota.h"
#include "password_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_lines(struct str content) {
    struct str line, user, rest;
    struct arena *arena = arena_create(1 << 16);
    while (str_cut(content, '\n', &line, &content)) {
        struct auth_account account = {.login = STR("x")};
        struct account_quota quota = {0};
        struct str field = STR_EMPTY;
        if (!account_line_split(line, &user, &rest) || account_line_read(rest, arena, &account) == SOURCE_RETRY) continue;
        if (account_quota_read(&account, &quota, &field) != (field.length == 0)) __builtin_trap();
    }
    arena_destroy(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str input = str_make((const char *)data, size), line, label;
    struct buf content = buf_make(0);
    size_t offset = 0;
    read_lines(input);
    buf_append(&content, input);
    password_file_set(&content, STR("anna"), STR("{P}1"));
    if (!password_file_find(buf_str(&content), STR("anna"), &line)) __builtin_trap();
    if (!password_file_set_app(&content, STR("anna"), STR("tv"), STR("{P}2"))) __builtin_trap();
    if (!password_file_find(buf_str(&content), STR("anna"), &line)) __builtin_trap();
    bool found = false;
    while (password_file_next_app(line, &offset, &label))
        found = found || str_equal(label, STR("tv"));
    if (!found || !password_file_remove(&content, STR("anna"))) __builtin_trap();
    if (password_file_find(buf_str(&content), STR("anna"), &line)) __builtin_trap();
    buf_free(&content);
    return 0;
}
