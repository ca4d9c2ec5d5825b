/* main.cf: the whole way from text to struct config, its warnings, and edits. */
#include "config_edit.h"
#include "config_load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct config_system machine = {
        .hostname = STR_INIT("mail.example.com"), .networks_host = STR_INIT("192.0.2.1/32"),
        .networks_subnet = STR_INIT("192.0.2.0/24"), .networks_class = STR_INIT("192.0.2.0/24"),
        .config_directory = STR_INIT("/etc/tern")};
    struct str text = str_make((const char *)data, size);
    struct config *config = NULL;
    struct buf warnings = buf_make(0), edited = buf_make(0);
    struct failure failure = {0};
    size_t count;

    if (config_evaluate(text, "main.cf", &machine, NULL, 0, SCOPE_ALL, &config, &warnings, &failure))
        config_free(&config);
    else if (failure.text[0] == '\0')
        abort();
    if (config_edit_setting(text, CONFIG_EDIT_SET, STR("myhostname"), STR("x"), &edited, &count, &failure)) {
        /* What was edited is there now, and once more gives the same. */
        struct buf again = buf_make(0);
        if (!config_edit_setting(buf_str(&edited), CONFIG_EDIT_SET, STR("myhostname"), STR("x"), &again, &count,
                                 &failure) ||
            count == 0 || !str_equal(buf_str(&edited), buf_str(&again)))
            abort();
        buf_free(&again);
    }
    buf_free(&warnings);
    buf_free(&edited);
    return 0;
}
