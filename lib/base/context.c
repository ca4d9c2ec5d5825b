/* The context switch: assembly for x86-64 (System V ABI) and AArch64 (AAPCS64),
 * ucontext elsewhere.
 *
 * Written as a top-level asm statement of a C file, so that the compiler gives
 * the object the marks that it gives every other: no executable stack, and the
 * property note for indirect branch tracking. Branch targets begin with the
 * landing instruction (endbr64, bti). Shadow stacks need a second stack a task
 * and are not supported: the build asks for -fcf-protection=branch. */
#include "context.h"

#include <stdint.h>

#ifdef CONTEXT_NATIVE

#if defined(__CET__) && (__CET__ & 2)
#error "stacks are switched by hand: build with -fcf-protection=branch (no shadow stack)"
#endif

void context_switch_stack(void **save, void *restore);
void context_begin(void);

/* Where the switch leaves the word that the next `return` takes. */
#ifdef __x86_64__

enum { RED_ZONE = 128 };

__asm__(".text\n"
        ".p2align 4\n"
        ".hidden context_switch_stack\n"
        ".globl context_switch_stack\n"
        ".type context_switch_stack, @function\n"
        "context_switch_stack:\n"
        "  .cfi_startproc\n"
        "  endbr64\n"
        "  pushq %rbp\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  .cfi_rel_offset rbp, 0\n"
        "  pushq %rbx\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %r12\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %r13\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %r14\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  pushq %r15\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  subq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset 8\n"
        "  stmxcsr (%rsp)\n"
        "  fnstcw 4(%rsp)\n"
        "  movq %rsp, (%rdi)\n"
        "  movq %rsi, %rsp\n"
        "  ldmxcsr (%rsp)\n"
        "  fldcw 4(%rsp)\n"
        "  addq $8, %rsp\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %r15\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %r14\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %r13\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %r12\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rbx\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  popq %rbp\n"
        "  .cfi_adjust_cfa_offset -8\n"
        "  .cfi_restore rbp\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size context_switch_stack, .-context_switch_stack\n"
        /* The first frame of a task: r12 holds the function, r13 its argument. */
        ".p2align 4\n"
        ".hidden context_begin\n"
        ".globl context_begin\n"
        ".type context_begin, @function\n"
        "context_begin:\n"
        "  .cfi_startproc\n"
        "  .cfi_undefined rip\n"
        "  endbr64\n"
        "  movq %r13, %rdi\n"
        "  callq *%r12\n"
        "  ud2\n"
        "  .cfi_endproc\n"
        ".size context_begin, .-context_begin\n");

static void *first_frame(uintptr_t high, void (*entry)(void *argument), void *argument) {
    uint32_t mxcsr;
    uint16_t control;
    uint64_t *frame = (uint64_t *)((high & ~(uintptr_t)15) - 10 * sizeof(uint64_t)); /* the call needs 16-alignment */

    __asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(mxcsr), "=m"(control));
    for (int i = 0; i < 10; i++) frame[i] = 0;
    frame[0] = (uint64_t)mxcsr | (uint64_t)control << 32;
    frame[3] = (uint64_t)(uintptr_t)argument; /* r13 */
    frame[4] = (uint64_t)(uintptr_t)entry;    /* r12 */
    frame[7] = (uint64_t)(uintptr_t)context_begin;
    return frame;
}

#else /* __aarch64__ */

enum { RED_ZONE = 0 };

__asm__(".text\n"
        ".p2align 4\n"
        ".hidden context_switch_stack\n"
        ".globl context_switch_stack\n"
        ".type context_switch_stack, %function\n"
        "context_switch_stack:\n"
        "  .cfi_startproc\n"
        "  hint #34\n" /* bti c */
        "  sub sp, sp, #176\n"
        "  .cfi_adjust_cfa_offset 176\n"
        "  stp x19, x20, [sp, #0]\n"
        "  stp x21, x22, [sp, #16]\n"
        "  stp x23, x24, [sp, #32]\n"
        "  stp x25, x26, [sp, #48]\n"
        "  stp x27, x28, [sp, #64]\n"
        "  stp x29, x30, [sp, #80]\n"
        "  .cfi_rel_offset x29, 80\n"
        "  .cfi_rel_offset x30, 88\n"
        "  stp d8, d9, [sp, #96]\n"
        "  stp d10, d11, [sp, #112]\n"
        "  stp d12, d13, [sp, #128]\n"
        "  stp d14, d15, [sp, #144]\n"
        "  mrs x9, fpcr\n"
        "  str x9, [sp, #160]\n"
        "  mov x9, sp\n"
        "  str x9, [x0]\n"
        "  mov sp, x1\n"
        "  ldr x9, [sp, #160]\n"
        "  msr fpcr, x9\n"
        "  ldp d14, d15, [sp, #144]\n"
        "  ldp d12, d13, [sp, #128]\n"
        "  ldp d10, d11, [sp, #112]\n"
        "  ldp d8, d9, [sp, #96]\n"
        "  ldp x29, x30, [sp, #80]\n"
        "  ldp x27, x28, [sp, #64]\n"
        "  ldp x25, x26, [sp, #48]\n"
        "  ldp x23, x24, [sp, #32]\n"
        "  ldp x21, x22, [sp, #16]\n"
        "  ldp x19, x20, [sp, #0]\n"
        "  add sp, sp, #176\n"
        "  .cfi_adjust_cfa_offset -176\n"
        "  .cfi_restore x29\n"
        "  .cfi_restore x30\n"
        "  ret\n"
        "  .cfi_endproc\n"
        ".size context_switch_stack, .-context_switch_stack\n"
        /* The first frame of a task: x19 holds the function, x20 its argument. */
        ".p2align 4\n"
        ".hidden context_begin\n"
        ".globl context_begin\n"
        ".type context_begin, %function\n"
        "context_begin:\n"
        "  .cfi_startproc\n"
        "  .cfi_undefined x30\n"
        "  hint #36\n" /* bti j */
        "  mov x0, x20\n"
        "  blr x19\n"
        "  brk #1\n"
        "  .cfi_endproc\n"
        ".size context_begin, .-context_begin\n");

static void *first_frame(uintptr_t high, void (*entry)(void *argument), void *argument) {
    uint64_t *frame = (uint64_t *)((high & ~(uintptr_t)15) - 22 * sizeof(uint64_t));
    uint64_t control;

    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    for (int i = 0; i < 22; i++) frame[i] = 0;
    frame[0] = (uint64_t)(uintptr_t)entry;          /* x19 */
    frame[1] = (uint64_t)(uintptr_t)argument;       /* x20 */
    frame[11] = (uint64_t)(uintptr_t)context_begin; /* x30 */
    frame[20] = control;
    return frame;
}

#endif

void context_prepare(struct context *context, void *low, void *high, void (*entry)(void *argument), void *argument) {
    (void)low;
    context->stack_pointer = first_frame((uintptr_t)high, entry, argument);
}

void context_switch(struct context *from, const struct context *to) {
    context_switch_stack(&from->stack_pointer, to->stack_pointer);
}

void *context_lowest_used(const struct context *context) {
    return (char *)context->stack_pointer - RED_ZONE;
}

#else /* ucontext */

/* makecontext passes ints; a pointer travels in two halves. */
static void begin(unsigned entry_high, unsigned entry_low, unsigned argument_high, unsigned argument_low) {
    uintptr_t entry = (uintptr_t)((uint64_t)entry_high << 32 | entry_low);
    uintptr_t argument = (uintptr_t)((uint64_t)argument_high << 32 | argument_low);

    ((void (*)(void *))entry)((void *)argument);
}

void context_prepare(struct context *context, void *low, void *high, void (*entry)(void *argument), void *argument) {
    uint64_t function = (uint64_t)(uintptr_t)entry, pointer = (uint64_t)(uintptr_t)argument;

    getcontext(&context->state);
    context->state.uc_stack.ss_sp = low;
    context->state.uc_stack.ss_size = (size_t)((char *)high - (char *)low);
    context->state.uc_link = NULL;
    makecontext(&context->state, (void (*)(void))begin, 4, (unsigned)(function >> 32), (unsigned)function,
                (unsigned)(pointer >> 32), (unsigned)pointer);
}

void context_switch(struct context *from, const struct context *to) {
    swapcontext(&from->state, &to->state);
}

void *context_lowest_used(const struct context *context) {
    (void)context;
    return NULL;
}

#endif
