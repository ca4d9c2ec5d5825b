/* See helper_thread.h. */
#include "helper_thread.h"

#include <signal.h>

enum { THREAD_STACK = 512 * 1024 };

bool helper_thread_start(pthread_t *thread, void *(*function)(void *argument), void *argument) {
    pthread_attr_t attributes;
    sigset_t all, before;

    sigfillset(&all);
    pthread_attr_init(&attributes);
#ifndef TERN_SANITIZERS
    pthread_attr_setstacksize(&attributes, THREAD_STACK);
#endif
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(thread, &attributes, function, argument) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return started;
}
