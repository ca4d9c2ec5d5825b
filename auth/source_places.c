/* What all sources that ask a server have in common. */
#include "source_places.h"

enum { LEFT_ALONE_MS = 1000 };

bool source_not_built(const struct auth_source *source, const char *option, struct failure *failure) {
    return failure_set(failure, "%s: this tern was built without it (configure %s)", source->type->name, option);
}

static bool is_left_alone(const struct source_places *places, struct failure *failure) {
    if (deadline_left(places->again) == 0) return false;
    if (failure) *failure = places->why;
    return true;
}

bool source_place_take(struct source_places *places, deadline until, struct failure *failure) {
    while (!is_left_alone(places, failure)) {
        if (places->taken < places->limit) {
            places->taken++;
            return true;
        }
        if (task_queue_wait(&places->waiting, until) != WAIT_READY)
            return failure_set(failure, "too many questions are waiting for the server");
    }
    return false;
}

void source_place_give(struct source_places *places, const struct failure *failure) {
    places->taken--;
    if (failure) {
        places->again = deadline_in(LEFT_ALONE_MS);
        places->why = *failure;
        task_queue_wake_all(&places->waiting);
    } else {
        task_queue_wake_one(&places->waiting);
    }
}
