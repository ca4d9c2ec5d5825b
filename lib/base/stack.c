/* Task stacks: mapping, guard page, pool and the return of memory. */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stack.h"

#ifdef HAVE_VALGRIND_VALGRIND_H
#include <valgrind/memcheck.h>
#else
#define VALGRIND_STACK_REGISTER(low, high) 0
#define VALGRIND_STACK_DEREGISTER(id) ((void)(id))
#define VALGRIND_MAKE_MEM_UNDEFINED(address, length) ((void)(address), (void)(length))
#endif
#ifdef TERN_SANITIZERS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_UNPOISON_MEMORY_REGION(address, length) ((void)(address), (void)(length))
#endif

enum { STACK_MINIMUM = 16384 };

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

void stack_pool_init(struct stack_pool *pool, size_t size, size_t limit) {
    size_t page = page_size();

    if (size < STACK_MINIMUM) size = STACK_MINIMUM;
    *pool = (struct stack_pool){.size = (size + page - 1) / page * page, .limit = limit};
}

static struct stack *map_stack(const struct stack_pool *pool) {
    size_t page = page_size();
    size_t whole = pool->size + page;
    char *mapping = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
    struct stack *stack;

    if (mapping == MAP_FAILED) return NULL;
    if (mprotect(mapping, page, PROT_NONE) != 0) {
        munmap(mapping, whole);
        return NULL;
    }
#ifdef MADV_NOHUGEPAGE
    madvise(mapping + page, pool->size, MADV_NOHUGEPAGE);
#endif
    stack = (struct stack *)(mapping + whole - sizeof(struct stack));
    *stack = (struct stack){.low = mapping + page};
    stack->valgrind = VALGRIND_STACK_REGISTER(stack->low, (char *)stack);
    return stack;
}

static void unmap_stack(const struct stack_pool *pool, struct stack *stack) {
    size_t page = page_size();
    char *low = stack->low;

    VALGRIND_STACK_DEREGISTER(stack->valgrind);
    ASAN_UNPOISON_MEMORY_REGION(low, pool->size);
    munmap(low - page, pool->size + page);
}

struct stack *stack_take(struct stack_pool *pool) {
    struct stack *stack = pool->free;

    if (!stack) return map_stack(pool);
    pool->free = stack->next;
    pool->count--;
    stack->next = NULL;
    /* The last task's outermost frame never returned; its marks are still there. */
    ASAN_UNPOISON_MEMORY_REGION(stack->low, (size_t)((char *)stack - stack->low));
    VALGRIND_MAKE_MEM_UNDEFINED(stack->low, (size_t)((char *)stack - stack->low));
    return stack;
}

void stack_give(struct stack_pool *pool, struct stack *stack, unsigned age) {
    if (pool->count >= pool->limit) {
        unmap_stack(pool, stack);
        return;
    }
    stack->age = age;
    stack->trimmed = false;
    stack->next = pool->free;
    pool->free = stack;
    pool->count++;
}

bool stack_pool_trim(struct stack_pool *pool, unsigned before) {
    bool younger = false;

    for (struct stack *stack = pool->free; stack && !stack->trimmed; stack = stack->next) {
        if ((int)(stack->age - before) >= 0) {
            younger = true;
            continue;
        }
        stack_trim_below(stack, stack);
        stack->trimmed = true;
    }
    return younger;
}

void stack_trim_below(struct stack *stack, const void *address) {
    uintptr_t low = (uintptr_t)stack->low, end = (uintptr_t)address & ~(uintptr_t)(page_size() - 1);

    if (end > low) madvise(stack->low, end - low, MADV_DONTNEED);
}

void stack_pool_clear(struct stack_pool *pool) {
    while (pool->free) {
        struct stack *stack = pool->free;
        pool->free = stack->next;
        pool->count--;
        unmap_stack(pool, stack);
    }
}
