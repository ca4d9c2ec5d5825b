/* make_queue: a small queue in a new directory, whose name it prints, for test_commands.sh. */
#include "queue_fixture.h"
#include "clock.h"

int main(void) {
    static const struct fixture_message messages[] = {
        {"new", "AAAAAA1", "s1@example.com", "r1@example.org", "", "Subject: one\n\nbody one\n", NULL, 0},
        {"cur", "BBBBBB2", "s2@example.com", "r2@example.net", "list@example.org", "Subject: two\n\nbody two\n",
         "no route", 0},
        {"cur", "CCCCCC3", "", "r3@example.org", "", "Subject: three\n\nbody three\n", "no route", 0},
        {"hold", "DDDDDD4", "s4@example.com", "r4@example.org", "", "Subject: four\n\nbody four\n", NULL, 0},
    };
    struct queue_fixture fixture;
    if (!fixture_make(&fixture)) return 1;
    for (size_t i = 0; i < ARRAY_LENGTH(messages); i++) {
        struct fixture_message message = messages[i];
        message.arrival = clock_date() / CLOCK_SECOND - 3600 * (int64_t)(i + 1);
        if (!fixture_add(&fixture, &message)) return 1;
    }
    puts(fixture.path);
    return 0;
}
