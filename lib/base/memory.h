/* Memory: allocation that cannot fail quietly, arenas, and wiping.
 *
 * Running out of memory ends the process (the one exit that library code may
 * take: master restarts it, no acknowledged mail is lost). Sizes are checked
 * for overflow. An arena gives many small pieces that are freed together, by
 * lifetime: one a session, one a transaction. */
#ifndef TERN_MEMORY_H
#define TERN_MEMORY_H

#include "compiler.h"
#include "str.h"

/* Zeroed memory; never NULL. Free with MEMORY_FREE. */
void *memory_allocate(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
#define MEMORY_NEW(type) ((type *)memory_allocate(1, sizeof(type)))
/* Grown or shrunk to count * size bytes; new bytes are not zeroed. */
void *memory_resize(void *memory, size_t count, size_t size);
/* Frees *pointer and sets it to NULL; NULL is accepted. */
#define MEMORY_FREE(pointer) (free(pointer), (pointer) = NULL)
/* A NUL-terminated copy of s; bytes after an inner NUL are there but unseen by C. */
char *memory_copy_string(struct str s);
/* Overwrites a secret in a way the compiler keeps. */
void memory_wipe(void *memory, size_t size);
/* Compares two secrets of equal length in constant time. */
bool memory_equal_secret(const void *a, const void *b, size_t size);
/* Ends the process with a line on standard error: out of memory, or a broken
 * invariant of tern's own (never because of what came from outside). */
NO_RETURN void memory_exhausted(size_t wanted);

/* From here on large pieces that are freed stay with the process, up to so many octets, for those that are allocated
 * next: the kernel clears each page that it gives. For a process whose work comes in bursts, and that gives back
 * between them. */
void memory_keep_freed(size_t octets);
/* Where the heap ends: how much it has grown is a difference of two. */
uintptr_t memory_heap_end(void);
/* What is free goes back to the kernel. */
void memory_give_back(void);

struct arena;
/* An arena that will hold at most limit bytes in all (0: no limit). */
struct arena *arena_create(size_t limit);
/* Frees the arena and all that came from it; sets *arena to NULL. */
void arena_destroy(struct arena **arena);
/* Zeroed, aligned for any type. NULL only when the arena's limit is reached. */
MUST_USE void *arena_allocate(struct arena *arena, size_t count, size_t size);
#define ARENA_NEW(arena, type) ((type *)arena_allocate((arena), 1, sizeof(type)))
/* A copy of s in the arena (with a NUL after it, not counted). False when the
 * limit is reached, *copy untouched. */
MUST_USE bool arena_copy(struct arena *arena, struct str s, struct str *copy);
/* Bytes handed out so far. */
size_t arena_used(const struct arena *arena);

#endif
