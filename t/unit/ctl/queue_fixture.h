/* queue_fixture: a queue made by hand, for the tests of the commands that read and change it. */
#ifndef TERN_QUEUE_FIXTURE_H
#define TERN_QUEUE_FIXTURE_H

#include "queue_file.h"

struct queue_fixture {
    char path[64];
    int queue; /* directory descriptor */
};

/* An empty queue with its folders in a new temporary directory. False if that fails. */
bool fixture_make(struct queue_fixture *fixture);
void fixture_remove(struct queue_fixture *fixture);

struct fixture_message {
    const char *folder, *id, *sender, *recipient, *original, *content;
    const char *reason; /* an attempt was put off for this; NULL: not tried */
    int64_t arrival;    /* seconds */
};
/* Writes a whole, committed message. */
bool fixture_add(struct queue_fixture *fixture, const struct fixture_message *message);
/* Turns over one bit of a message's file. */
bool fixture_damage(struct queue_fixture *fixture, const char *path, int64_t offset);
bool fixture_has(const struct queue_fixture *fixture, const char *path);
bool fixture_write(struct queue_fixture *fixture, const char *path, const char *text, int64_t age_seconds);

#endif
