/* thread_tree: trees that grow by links and lose some, and know at once what is above what.
 *
 * Link-cut trees (Sleator and Tarjan, 1983), for thread.c alone: a link that
 * would close a circle must be refused, and walking up to see it would take the
 * square of the depth. Nodes are numbers from 1. */
#ifndef TERN_THREAD_TREE_H
#define TERN_THREAD_TREE_H

#include "compiler.h"

struct thread_tree_node;
struct thread_tree {
    struct thread_tree_node *nodes;
    size_t count, room;
};

/* Makes the nodes up to number count; new ones are alone. */
void thread_tree_grow(struct thread_tree *tree, size_t count);
/* Puts child, which has no parent, beneath parent. False (nothing done) if parent
 * is child or lies beneath it. */
bool thread_tree_link(struct thread_tree *tree, uint32_t parent, uint32_t child);
/* Takes child from its parent, which it has, with all that is beneath it. */
void thread_tree_cut(struct thread_tree *tree, uint32_t child);
void thread_tree_free(struct thread_tree *tree);

#endif
