/* memory: allocation that ends the process rather than fail, arenas, wiping. */
#include "memory.h"
#include <errno.h>
#include <limits.h>
#include <malloc.h>
#include <sysexits.h>
#include <unistd.h>

#if defined(TERN_SANITIZERS)
#include <sanitizer/asan_interface.h>
#define POISON(address, size)   ASAN_POISON_MEMORY_REGION(address, size)
#define UNPOISON(address, size) ASAN_UNPOISON_MEMORY_REGION(address, size)
/* Bytes between two pieces, so that running over one is seen. */
#define RED_ZONE 16
#else
#define POISON(address, size)   ((void)(address), (void)(size))
#define UNPOISON(address, size) ((void)(address), (void)(size))
#define RED_ZONE                0
#endif

#define CHUNK_FIRST     ((size_t)1024)
#define CHUNK_LAST      ((size_t)65536)
#define ARENA_ALIGNMENT (_Alignof(max_align_t))

void memory_keep_freed(size_t octets) {
    int kept = octets < INT_MAX ? (int)octets : INT_MAX;
    mallopt(M_MMAP_THRESHOLD, kept);
    mallopt(M_TRIM_THRESHOLD, kept);
}

/* No system call: the C library knows it. */
uintptr_t memory_heap_end(void) {
    return (uintptr_t)sbrk(0);
}

void memory_give_back(void) {
    malloc_trim(0);
}

void memory_exhausted(size_t wanted) {
    /* No allocation here, and no stdio buffer: what is left may be nothing. */
    char line[96];
    int length =
        snprintf(line, sizeof(line), "tern: fatal: out of memory, or a broken size: %zu bytes wanted\n", wanted);
    if (length > 0 && write(STDERR_FILENO, line, (size_t)length) < 0) errno = 0; /* nobody left to tell */
#if defined(TERN_SANITIZERS)
    abort();
#else
    /* A command's caller (sendmail's) reads this as "try later". */
    _exit(EX_TEMPFAIL);
#endif
}

void *memory_allocate(size_t count, size_t size) {
    if (count == 0 || size == 0) count = size = 1;
    void *memory = calloc(count, size); /* checks the product */
    if (!memory) {
        size_t wanted;
        memory_exhausted(__builtin_mul_overflow(count, size, &wanted) ? SIZE_MAX : wanted);
    }
    return memory;
}

void *memory_resize(void *memory, size_t count, size_t size) {
    size_t wanted;
    if (__builtin_mul_overflow(count, size, &wanted)) memory_exhausted(SIZE_MAX);
    void *resized = realloc(memory, wanted ? wanted : 1);
    if (!resized) memory_exhausted(wanted);
    return resized;
}

char *memory_copy_string(struct str s) {
    if (s.length == SIZE_MAX) memory_exhausted(SIZE_MAX);
    char *copy = malloc(s.length + 1);
    if (!copy) memory_exhausted(s.length + 1);
    if (s.length) memcpy(copy, s.data, s.length);
    copy[s.length] = '\0';
    return copy;
}

void memory_wipe(void *memory, size_t size) {
    if (size) explicit_bzero(memory, size);
}

bool memory_equal_secret(const void *a, const void *b, size_t size) {
    const volatile unsigned char *left = a;
    const volatile unsigned char *right = b;
    unsigned char difference = 0;
    for (size_t i = 0; i < size; i++)
        difference = (unsigned char)(difference | (left[i] ^ right[i]));
    return difference == 0;
}

/* A chunk's bytes follow its header. */
struct chunk {
    struct chunk *next;
    size_t size;
    size_t filled;
    _Alignas(max_align_t) char bytes[];
};

struct arena {
    struct chunk *chunks; /* the first is the one being filled; those after it are full or hold one large piece */
    size_t next_size;     /* of the next chunk to be filled */
    size_t limit;
    size_t used;
};

struct arena *arena_create(size_t limit) {
    struct arena *arena = MEMORY_NEW(struct arena);
    arena->next_size = CHUNK_FIRST;
    arena->limit = limit;
    return arena;
}

void arena_destroy(struct arena **arena) {
    if (!*arena) return;
    for (struct chunk *chunk = (*arena)->chunks; chunk;) {
        struct chunk *next = chunk->next;
        UNPOISON(chunk->bytes, chunk->size);
        free(chunk);
        chunk = next;
    }
    MEMORY_FREE(*arena);
}

static struct chunk *chunk_create(size_t size) {
    size_t whole;
    if (__builtin_add_overflow(size, sizeof(struct chunk), &whole)) memory_exhausted(SIZE_MAX);
    struct chunk *chunk = memory_allocate(1, whole);
    chunk->size = size;
    POISON(chunk->bytes, size);
    return chunk;
}

/* A chunk with room for size bytes. A large piece gets a chunk of its own behind the one being
 * filled, so that it does not waste what is left there. */
static struct chunk *arena_add_chunk(struct arena *arena, size_t size) {
    if (arena->chunks && size > CHUNK_LAST / 4) {
        struct chunk *chunk = chunk_create(size);
        chunk->next = arena->chunks->next;
        arena->chunks->next = chunk;
        return chunk;
    }
    struct chunk *chunk = chunk_create(size > arena->next_size ? size : arena->next_size);
    if (arena->next_size < CHUNK_LAST) arena->next_size *= 2;
    chunk->next = arena->chunks;
    arena->chunks = chunk;
    return chunk;
}

/* How far into the chunk a piece of that alignment would start. */
static size_t chunk_start(const struct chunk *chunk, size_t alignment) {
    return (chunk->filled + alignment - 1) & ~(alignment - 1);
}

/* size is not 0. The padding before a piece counts as used: the limit bounds memory, not wishes. */
static void *arena_take(struct arena *arena, size_t size, size_t alignment) {
    struct chunk *chunk = arena->chunks;
    size_t start = chunk ? chunk_start(chunk, alignment) : 0;
    size_t padding = chunk ? start - chunk->filled : 0;
    if (arena->limit) {
        size_t left = arena->limit - arena->used;
        if (padding > left || size > left - padding) return NULL;
    }
    size_t room;
    if (__builtin_add_overflow(size, (size_t)RED_ZONE, &room)) memory_exhausted(SIZE_MAX);
    if (!chunk || start > chunk->size || room > chunk->size - start) {
        chunk = arena_add_chunk(arena, room);
        start = 0;
        padding = 0;
    }
    chunk->filled = start + room;
    arena->used += padding + size;
    UNPOISON(chunk->bytes + start, size);
    return chunk->bytes + start;
}

void *arena_allocate(struct arena *arena, size_t count, size_t size) {
    size_t wanted;
    if (__builtin_mul_overflow(count, size, &wanted)) {
        if (arena->limit) return NULL;
        memory_exhausted(SIZE_MAX);
    }
    return arena_take(arena, wanted ? wanted : 1, ARENA_ALIGNMENT);
}

bool arena_copy(struct arena *arena, struct str s, struct str *copy) {
    if (s.length == SIZE_MAX) return false;
    char *bytes = arena_take(arena, s.length + 1, 1);
    if (!bytes) return false;
    if (s.length) memcpy(bytes, s.data, s.length);
    *copy = str_make(bytes, s.length);
    return true;
}

size_t arena_used(const struct arena *arena) {
    return arena->used;
}
