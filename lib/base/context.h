/* context: a processor's state that can be put aside and taken up again.
 *
 * The switch is a function call: it keeps what the ABI says a call keeps
 * (callee-saved registers, floating point control) and nothing else, so it costs
 * no system call. The signal mask stays as it is. */
#ifndef TERN_CONTEXT_H
#define TERN_CONTEXT_H

#include "compiler.h"

#if (defined(__x86_64__) && !defined(__ILP32__)) || defined(__aarch64__)
#ifndef CONTEXT_FORCE_UCONTEXT
#define CONTEXT_NATIVE 1
#endif
#endif

#ifdef CONTEXT_NATIVE
struct context {
    void *stack_pointer;
};
#else
#include <ucontext.h>
struct context {
    ucontext_t state;
};
#endif

/* Makes a context that, when first switched to, calls entry(argument) on the
 * stack [low, high). entry must not return. */
void context_prepare(struct context *context, void *low, void *high, void (*entry)(void *argument), void *argument);
/* Puts the running state into *from and takes up *to. */
void context_switch(struct context *from, const struct context *to);
/* The lowest address that a context put aside needs of its stack; NULL if that
 * cannot be known. */
void *context_lowest_used(const struct context *context);

#endif
