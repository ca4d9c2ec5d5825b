/* One question to PAM, in a process made for it. */
#include "pam.h"

#include <security/pam_appl.h>

#include "memory.h"

enum { MESSAGES_MAX = 16 };

struct conversation {
    const struct ipc_pam_check *check;
    unsigned messages; /* answered so far */
};

bool pam_service_is_plain(struct str service) {
    if (service.length == 0 || service.length > 64 || service.data[0] == '.') return false;
    for (size_t i = 0; i < service.length; i++)
        if (!ascii_is_alnum(service.data[i]) && str_find(STR("-_."), service.data[i]) == STR_NONE) return false;
    return true;
}

/* Values that PAM frees itself. */
static char *answer_to(const struct conversation *conversation, int style) {
    if (style == PAM_PROMPT_ECHO_OFF) return memory_copy_string(conversation->check->password);
    if (style == PAM_PROMPT_ECHO_ON) return memory_copy_string(conversation->check->user);
    return NULL;
}

static int converse(int count, const struct pam_message **messages, struct pam_response **responses, void *context) {
    struct conversation *conversation = context;
    if (count <= 0 || count > MESSAGES_MAX || conversation->messages + (unsigned)count > MESSAGES_MAX)
        return PAM_CONV_ERR;
    conversation->messages += (unsigned)count;
    *responses = memory_allocate((size_t)count, sizeof **responses);
    for (int i = 0; i < count; i++)
        (*responses)[i].resp = answer_to(conversation, messages[i]->msg_style);
    return PAM_SUCCESS;
}

/* auth has its own delays, for all sources alike. */
static void no_delay(int status, unsigned microseconds, void *context) {
    (void)status;
    (void)microseconds;
    (void)context;
}

static enum pam_verdict judge(int result, bool authenticated) {
    switch (result) {
    case PAM_SUCCESS:
        return PAM_VERDICT_GOOD;
    case PAM_USER_UNKNOWN:
        return authenticated ? PAM_VERDICT_DISABLED : PAM_VERDICT_UNKNOWN;
    case PAM_AUTH_ERR:
    case PAM_MAXTRIES:
    case PAM_CONV_ERR: /* it asked for more than a user and a password */
        return authenticated ? PAM_VERDICT_DISABLED : PAM_VERDICT_WRONG;
    case PAM_PERM_DENIED:
        return authenticated ? PAM_VERDICT_DISABLED : PAM_VERDICT_WRONG;
    case PAM_ACCT_EXPIRED:
    case PAM_NEW_AUTHTOK_REQD:
    case PAM_AUTHTOK_EXPIRED:
    case PAM_CRED_EXPIRED:
        return PAM_VERDICT_DISABLED;
    default:
        return PAM_VERDICT_LATER;
    }
}

static int set_items(pam_handle_t *handle, const char *user, const char *address) {
    int result = pam_set_item(handle, PAM_RUSER, user);
    if (result == PAM_SUCCESS && address[0]) result = pam_set_item(handle, PAM_RHOST, address);
    if (result == PAM_SUCCESS) result = pam_set_item(handle, PAM_TTY, "tern");
    void (*delay)(int, unsigned, void *) = no_delay;
    void *item = NULL;
    memcpy(&item, &delay, sizeof item);
    if (result == PAM_SUCCESS) result = pam_set_item(handle, PAM_FAIL_DELAY, item);
    return result;
}

static enum pam_verdict ask(pam_handle_t *handle, const char *user, const char *address, char reason[200]) {
    const int flags = PAM_SILENT | PAM_DISALLOW_NULL_AUTHTOK;
    bool authenticated = false;
    int result = set_items(handle, user, address);
    if (result == PAM_SUCCESS) {
        result = pam_authenticate(handle, flags);
        authenticated = result == PAM_SUCCESS;
    }
    if (authenticated) result = pam_acct_mgmt(handle, flags);
    snprintf(reason, 200, "%s", pam_strerror(handle, result));
    enum pam_verdict verdict = judge(result, authenticated);
    pam_end(handle, result);
    return verdict;
}

enum pam_verdict pam_check_run(const struct ipc_pam_check *check, struct str directory, char reason[200]) {
    struct conversation conversation = {.check = check};
    const struct pam_conv how = {converse, &conversation};
    char *service = memory_copy_string(check->service), *user = memory_copy_string(check->user);
    char *address = memory_copy_string(check->client_address), *place = memory_copy_string(directory);
    pam_handle_t *handle = NULL;
    enum pam_verdict verdict = PAM_VERDICT_LATER;
    int result =
        place[0] ? pam_start_confdir(service, user, &how, place, &handle) : pam_start(service, user, &how, &handle);
    if (result == PAM_SUCCESS)
        verdict = ask(handle, user, address, reason);
    else
        snprintf(reason, 200, "PAM does not start");
    MEMORY_FREE(service);
    MEMORY_FREE(user);
    MEMORY_FREE(address);
    MEMORY_FREE(place);
    return verdict;
}

struct ipc_failed pam_failure(enum pam_verdict verdict, const char *reason) {
    struct ipc_failed failed = {.reply_code = 535, .status = STR("5.7.8"), .text = str_from(reason)};
    switch (verdict) {
    case PAM_VERDICT_GOOD:
    case PAM_VERDICT_WRONG:
        break;
    case PAM_VERDICT_UNKNOWN:
        failed.status = STR("5.1.1");
        break;
    case PAM_VERDICT_DISABLED:
        failed.status = STR("5.7.13");
        break;
    case PAM_VERDICT_LATER:
        failed.reply_code = 454;
        failed.status = STR("4.7.0");
        break;
    }
    return failed;
}
