/* The delivery line: see delivery_log.h. */
#include "delivery_log.h"
#include "address.h"
#include "clock.h"
#include "log.h"

bool delivery_soften(const struct config *config, struct ipc_outcome *outcome, char status[DELIVERY_STATUS_SIZE]) {
    if (outcome->action != DELIVERY_FAILED || !config->soft_bounce) return false;
    outcome->action = DELIVERY_DEFERRED;
    snprintf(status, DELIVERY_STATUS_SIZE, "4%.*s", STR_ARGS(str_from_offset(outcome->status, 1)));
    outcome->status = str_from(status);
    return true;
}

const char *delivery_status_word(uint64_t action, bool probe) {
    if (probe) return action == DELIVERY_DEFERRED || action == DELIVERY_FAILED ? "undeliverable" : "deliverable";
    return action == DELIVERY_DEFERRED ? "deferred" : action == DELIVERY_FAILED ? "bounced" : "sent";
}

/* Two significant digits and no more than hundredths, as Postfix's readers expect. */
static void append_seconds(struct buf *line, int64_t microseconds) {
    if (microseconds < 0) microseconds = 0;
    int64_t hundredths = (microseconds + 5000) / 10000;
    if (hundredths == 0)
        buf_append(line, STR("0"));
    else if (hundredths < 100)
        buf_printf(line, "0.%02d", (int)hundredths);
    else if (hundredths < 1000)
        buf_printf(line, "%d.%d", (int)(hundredths / 100), (int)(hundredths % 100 / 10));
    else
        buf_append_u64(line, (uint64_t)(hundredths / 100));
}

void delivery_log_address(struct buf *out, struct str address) {
    struct mail_address parsed;
    unsigned flags = MAIL_ADDRESS_LOCAL_ONLY | MAIL_ADDRESS_LONG | MAIL_ADDRESS_UTF8 | MAIL_ADDRESS_POSTMASTER;
    if (mail_address_from_internal(address, flags, &parsed) == MAIL_ADDRESS_OK) {
        mail_address_append_external(out, &parsed);
        return;
    }
    for (size_t i = 0; i < address.length; i++) {
        char c = address.data[i];
        buf_append_char(out, c == '<' || c == '>' || c == ' ' || c == ',' ? '?' : c);
    }
}

void delivery_log(const struct config *config, struct str queue_id, const struct delivery_times *times,
                  struct str address, struct str original, const struct ipc_outcome *outcome, bool probe) {
    struct buf line = buf_make(1900);
    struct ipc_outcome told = *outcome;
    char soft_status[DELIVERY_STATUS_SIZE];
    bool soft = !probe && delivery_soften(config, &told, soft_status);
    int64_t now = clock_date();
    int64_t connection = (int64_t)outcome->connection_ms * 1000,
            transmission = (int64_t)outcome->transmission_ms * 1000;
    buf_append(&line, STR("to=<"));
    delivery_log_address(&line, address);
    if (original.length && !str_equal(original, address)) {
        buf_append(&line, STR(">, orig_to=<"));
        delivery_log_address(&line, original);
    }
    buf_append(&line, STR(">, "));
    buf_printf(&line, "relay=%.*s, ", STR_ARGS(outcome->relay.length ? outcome->relay : STR("none")));
    if (outcome->connection_use > 1) buf_printf(&line, "conn_use=%d, ", (int)outcome->connection_use);
    buf_append(&line, STR("delay="));
    append_seconds(&line, now - times->arrival);
    buf_append(&line, STR(", delays="));
    append_seconds(&line, times->activated - times->arrival);
    buf_append_char(&line, '/');
    append_seconds(&line, times->started - times->activated);
    buf_append_char(&line, '/');
    append_seconds(&line, connection);
    buf_append_char(&line, '/');
    append_seconds(&line, transmission);
    if (times->tls.length) buf_printf(&line, ", tls=%.*s", STR_ARGS(times->tls));
    buf_printf(&line, ", dsn=%.*s, status=%s (%.*s)", STR_ARGS(told.status),
               soft ? "SOFTBOUNCE" : delivery_status_word(told.action, probe), STR_ARGS(told.text));
    log_message(queue_id, "%.*s", STR_ARGS(buf_str(&line)));
    buf_free(&line);
}
