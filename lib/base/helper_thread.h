/* helper_thread: starting a thread that helps, which gets no signals and a small stack. */
#ifndef TERN_HELPER_THREAD_H
#define TERN_HELPER_THREAD_H

#include <pthread.h>

#include "compiler.h"

/* False: there is no thread to be had now. */
MUST_USE bool helper_thread_start(pthread_t *thread, void *(*function)(void *argument), void *argument);

#endif
