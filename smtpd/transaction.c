/* A transaction: from MAIL to the end of the message. */
#include "smtpd.h"

#define FIRST_ROOM 4

struct transaction *transaction_begin(struct session *session) {
    struct transaction *transaction = MEMORY_NEW(struct transaction);
    uint64_t recipients = (uint64_t)session->smtpd->config->smtpd_recipient_limit;
    transaction->arena = arena_create((size_t)(65536 + recipients * 1500));
    transaction->envelope_id = transaction->hold_reason = transaction->submitter = transaction->redirect = STR_EMPTY;
    session->transaction = transaction;
    return transaction;
}

void transaction_free(struct transaction **transaction) {
    struct transaction *gone = *transaction;
    if (!gone) return;
    content_free(&gone->content);
    buf_free(&gone->prepended);
    MEMORY_FREE(gone->recipients);
    arena_destroy(&gone->arena);
    MEMORY_FREE(*transaction);
}

bool transaction_add_bcc(struct transaction *transaction, struct str address) {
    for (size_t i = 0; i < transaction->bcc_count; i++)
        if (str_equal_nocase(transaction->bcc[i], address)) return true;
    return transaction->bcc_count < SMTPD_BCC_MAX &&
           arena_copy(transaction->arena, address, &transaction->bcc[transaction->bcc_count]) &&
           ++transaction->bcc_count > 0;
}

bool transaction_add_recipient(struct transaction *transaction, struct str address, struct str orcpt, unsigned notify) {
    if (transaction->recipient_count == transaction->recipient_room) {
        size_t room = transaction->recipient_room ? transaction->recipient_room * 2 : FIRST_ROOM;
        transaction->recipients = memory_resize(transaction->recipients, room, sizeof *transaction->recipients);
        transaction->recipient_room = room;
    }
    struct ipc_recipient row = {.original = STR_EMPTY, .notify = notify, .index = transaction->recipient_count};
    if (!arena_copy(transaction->arena, address, &row.address) || !arena_copy(transaction->arena, orcpt, &row.orcpt))
        return false;
    transaction->recipients[transaction->recipient_count++] = row;
    return true;
}
