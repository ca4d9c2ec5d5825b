/* pam:SERVICE, the system's accounts as PAM has them. A process of the service pam asks
 * it (pam/); here is only the question. pam: alone means the PAM service tern, pam:* the
 * one that is called as the protocol is (smtp, imap, pop3). */
#include "ipc.h"
#include "source_places.h"
#include "source_template.h"

#define PASSWORD_MAX 1024

static bool pam_open(struct auth_source *source, struct failure *failure) {
#ifdef TERN_HAVE_PAM
    struct str name = source->argument;
    if (str_equal(name, STR("*"))) return true;
    for (size_t i = 0; i < name.length; i++)
        if (!ascii_is_alnum(name.data[i]) && str_find(STR("-_."), name.data[i]) == STR_NONE)
            return failure_set(failure, "the name of a PAM service is wanted, as in pam:tern");
    return (name.length <= 64 && !str_starts(name, STR("."))) ||
           failure_set(failure, "the name of a PAM service is wanted, as in pam:tern");
#else
    return source_not_built(source, "--with-pam, libpam", failure);
#endif
}

static struct str service_of(const struct auth_source *source, const struct source_question *question) {
    if (str_equal(source->argument, STR("*"))) return question->protocol;
    return source->argument.length > 0 ? source->argument : STR("tern");
}

static enum source_answer judge(const struct ipc_failed *failed) {
    if (failed->reply_code != 535) return SOURCE_RETRY;
    if (str_equal(failed->status, STR("5.1.1"))) return SOURCE_UNKNOWN;
    return str_equal(failed->status, STR("5.7.13")) ? SOURCE_DISABLED : SOURCE_WRONG;
}

static enum source_answer pam_verify(struct auth_source *source, const struct source_question *question,
                                     struct str password, struct auth_account *account, struct failure *failure) {
    struct ipc_client *pam = source->service ? service_client(source->service, "pam", NULL, NULL) : NULL;
    struct ipc_reply reply;
    struct ipc_pam_check check = {.service = service_of(source, question),
                                  .user = question->user,
                                  .password = password,
                                  .client_address = question->client_address};
    if (!source_user_is_plain(question->user)) return SOURCE_UNKNOWN;
    if (password.length == 0 || password.length > PASSWORD_MAX || memchr(password.data, '\0', password.length))
        return SOURCE_WRONG;
    if (!pam) {
        failure_set(failure, "the service pam cannot be reached");
        return SOURCE_RETRY;
    }
    enum ipc_result result =
        ipc_ask(pam, IPC_PAM_CHECK, &check, -1, IPC_DONE, question->until, question->arena, &reply, failure);
    if (result == IPC_REFUSED) return judge(reply.message);
    if (result != IPC_OK) return SOURCE_RETRY;
    *account = (struct auth_account){.login = question->user, .secret = STR_EMPTY, .app_secrets = STR_EMPTY};
    return SOURCE_FOUND;
}

const struct auth_source_type source_pam = {.name = "pam", .open = pam_open, .verify = pam_verify};
