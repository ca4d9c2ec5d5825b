/* bounce: writes failure, delay and success notices and delivery reports (RFC 3464, RFC 6533).
 *
 *   BOUNCE_SEND   here: who is told, and in what form
 *   notice.c      the notice itself
 *   lib/mail/notice_template.c    its text
 *
 * A notice has the null sender. What fails with the null sender is told to
 * 2bounce_notice_recipient (class 2bounce), from double-bounce@myhostname; what
 * fails with that sender is told to nobody: qmgr puts it on hold. There is never a
 * bounce to a bounce.
 *
 * It runs as tern-bounce in an empty root and may talk to cleanup alone. */
#include "bounce.h"
#include "intake.h"
#include "config_load.h"
#include "log.h"

#define TEMPLATE_FILE_LIMIT ((size_t)1 << 20)

static bool has_class(const struct bounce *bounce, const char *name) {
    struct str rest = bounce->config->notify_classes, word;
    while (str_next_word(&rest, ", \t", &word))
        if (str_equal(word, str_from(name))) return true;
    return false;
}

static const struct bounce_template *template_of(const struct bounce *bounce, enum notice_kind kind) {
    switch (kind) {
    case NOTICE_FAILED:
        return &bounce->templates.failure;
    case NOTICE_DELAYED:
        return &bounce->templates.delay;
    case NOTICE_SUCCESS:
        return &bounce->templates.success;
    case NOTICE_REPORT:
    case NOTICE_PROBE:
        return &bounce->templates.verify;
    }
    return &bounce->templates.failure;
}

/* A notice is on its way: what parsers of logs know a bounce by. */
static void log_notice(const struct ipc_bounce_send *request, bool to_postmaster, const char *queue_id) {
    const char *kind = request->kind == NOTICE_FAILED    ? "non-delivery"
                       : request->kind == NOTICE_DELAYED ? "delay"
                                                         : "delivery status";
    log_message(request->queue_id, "%s %s notification: %s", to_postmaster ? "postmaster" : "sender", kind, queue_id);
}

/* RFC 3461 section 6.2: the whole message only for failures, unless RET or its size speak against it. */
static bool headers_only(const struct bounce *bounce, const struct ipc_bounce_send *request) {
    if (request->kind != NOTICE_FAILED || request->return_content == RETURN_HEADERS) return true;
    if (request->tls & TLS_WISH_REQUIRED) return true; /* RFC 8689 section 4.3 */
    return request->content_length > (uint64_t)bounce->config->bounce_size_limit;
}

/* A name without a domain is one of ours. */
static struct str with_origin(const struct bounce *bounce, struct str address, struct buf *out) {
    buf_append(out, address);
    if (str_find(address, '@') == STR_NONE) buf_printf(out, "@%.*s", STR_ARGS(bounce->config->myorigin));
    return buf_str(out);
}

static struct notice notice_about(const struct bounce *bounce, const struct ipc_request *ipc, enum notice_kind kind) {
    return (struct notice){.request = ipc->message,
                           .content = ipc->descriptor,
                           .arena = ipc->arena,
                           .kind = kind,
                           .template = template_of(bounce, kind)};
}

static bool write_to_postmaster(struct bounce *bounce, const struct ipc_request *ipc, enum notice_kind kind,
                                struct str recipient, char queue_id[24], struct failure *failure) {
    struct buf to = buf_make(600), from = buf_make(600);
    buf_printf(&from, "%.*s@%.*s", STR_ARGS(bounce->config->double_bounce_sender),
               STR_ARGS(bounce->config->myhostname));
    struct notice notice = notice_about(bounce, ipc, kind);
    notice.envelope_sender = buf_str(&from);
    notice.to = with_origin(bounce, recipient, &to);
    notice.headers_only = true;
    bool good = notice_write(bounce, &notice, queue_id, failure);
    if (good) log_notice(notice.request, true, queue_id);
    buf_free(&to);
    buf_free(&from);
    return good;
}

/* The copies that notify_classes asks for; they are extra, so a failure is only logged. */
static void write_copies(struct bounce *bounce, const struct ipc_request *ipc) {
    const struct ipc_bounce_send *request = ipc->message;
    char queue_id[24];
    struct failure failure = {0};
    bool failed = request->kind == NOTICE_FAILED && has_class(bounce, "bounce");
    bool delayed = request->kind == NOTICE_DELAYED && has_class(bounce, "delay");
    struct str recipient = failed ? bounce->config->bounce_notice_recipient : bounce->config->delay_notice_recipient;
    if ((failed || delayed) &&
        !write_to_postmaster(bounce, ipc, (enum notice_kind)request->kind, recipient, queue_id, &failure))
        log_message_warning(request->queue_id, "the postmaster's copy of a notice cannot be written: %s", failure.text);
}

static void send_notice(struct ipc_request *ipc, struct bounce *bounce) {
    const struct ipc_bounce_send *request = ipc->message;
    char queue_id[24] = "";
    struct failure failure = {0};
    bool good = true;
    if (request->kind > NOTICE_PROBE || ipc->descriptor < 0) {
        ipc_answer_failed(ipc, 550, "5.5.4", "no such notice");
        return;
    }
    if (request->sender.length) {
        struct notice notice = notice_about(bounce, ipc, (enum notice_kind)request->kind);
        notice.to = request->sender;
        notice.headers_only = headers_only(bounce, request);
        good = notice_write(bounce, &notice, queue_id, &failure);
        if (good) log_notice(request, false, queue_id);
        if (good) write_copies(bounce, ipc);
    } else if (request->kind == NOTICE_FAILED && has_class(bounce, "2bounce")) {
        good = write_to_postmaster(bounce, ipc, NOTICE_FAILED, bounce->config->double_bounce_notice_recipient, queue_id,
                                   &failure);
    }
    if (good) {
        struct ipc_bounce_sent answer = {.queue_id = str_from(queue_id)};
        ipc_answer(ipc, IPC_BOUNCE_SENT, &answer, -1);
    } else {
        ipc_answer_failed(ipc, 451, "4.3.0", "%s", failure.text);
    }
}

static void dispatch(struct ipc_request *request, void *context) {
    if (request->type == IPC_BOUNCE_SEND)
        send_notice(request, context);
    else
        ipc_answer_failed(request, 451, "4.3.0", "bounce does not serve %s", ipc_type_name(request->type));
}

static void session(struct service *service, int connection, unsigned listener) {
    (void)listener;
    ipc_serve(connection, 100, dispatch, service_context(service));
}

/* The template file lies outside the empty root. */
static bool prepare(struct service *service, struct failure *failure) {
    struct bounce *bounce = MEMORY_NEW(struct bounce);
    bounce->service = service;
    bounce->config = service_config(service);
    service_set_context(service, bounce);
    bounce_templates_default(&bounce->templates);
    if (bounce->config->bounce_template_file.length == 0) return true;
    struct buf *text = MEMORY_NEW(struct buf); /* kept: the templates point into it */
    return config_read_file(bounce->config->bounce_template_file.data, TEMPLATE_FILE_LIMIT, text, failure) &&
           (bounce_templates_parse(buf_str(text), &bounce->templates, failure) ||
            failure_prefix(failure, "%.*s", STR_ARGS(bounce->config->bounce_template_file)));
}

static bool start(struct service *service, struct failure *failure) {
    (void)failure;
    struct bounce *bounce = service_context(service);
    bounce->intake = intake_source_create(service_client(service, "cleanup", NULL, NULL), bounce->config);
    return true;
}

static const struct service_declaration declaration = {
    .program = "bounce",
    .prepare = prepare,
    .start = start,
    .session = session,
    .session_limit = 100,
};

int main(int argument_count, char **arguments) {
    return service_run(argument_count, arguments, &declaration);
}
