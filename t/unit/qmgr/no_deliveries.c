/* What destination.c asks for, in tests that deliver nothing. */
#include "qmgr.h"

void delivery_start(struct delivery delivery) {
    (void)delivery;
    abort();
}

void job_settle(struct job *job, unsigned action, const char *status, const char *relay, struct str text) {
    (void)job, (void)action, (void)status, (void)relay, (void)text;
    abort();
}

void direct_finish(struct message *message) {
    (void)message;
    abort(); /* these messages are in the queue */
}
