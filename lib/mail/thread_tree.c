/* thread_tree: each tree is parted into ways that go straight up; a way is a splay tree by depth. */
#include "thread_tree.h"
#include "memory.h"

struct thread_tree_node {
    uint32_t up;          /* within the splay tree; at its root, what the way hangs on */
    uint32_t side[2];     /* less deep, deeper */
    uint32_t child_count; /* of the tree that is meant */
    uint32_t parent;      /* of it too */
};

void thread_tree_grow(struct thread_tree *tree, size_t count) {
    if (count + 1 > tree->room) {
        size_t room = tree->room > 0 ? tree->room : 64;
        while (room < count + 1)
            room *= 2;
        tree->nodes = memory_resize(tree->nodes, room, sizeof *tree->nodes);
        memset(tree->nodes + tree->room, 0, (room - tree->room) * sizeof *tree->nodes);
        tree->room = room;
    }
    tree->count = count;
}

void thread_tree_free(struct thread_tree *tree) {
    MEMORY_FREE(tree->nodes);
    tree->count = tree->room = 0;
}

/* Which side of its splay parent a node is on; 2: it is the root of its splay tree. */
static unsigned side_of(const struct thread_tree_node *nodes, uint32_t x) {
    uint32_t up = nodes[x].up;
    if (up == 0) return 2;
    if (nodes[up].side[0] == x) return 0;
    return nodes[up].side[1] == x ? 1 : 2;
}

static void rotate(struct thread_tree_node *nodes, uint32_t x) {
    uint32_t y = nodes[x].up, z = nodes[y].up;
    unsigned side = side_of(nodes, x), above = side_of(nodes, y);
    uint32_t middle = nodes[x].side[1 - side];
    nodes[y].side[side] = middle;
    if (middle != 0) nodes[middle].up = y;
    nodes[x].side[1 - side] = y;
    nodes[y].up = x;
    nodes[x].up = z;
    if (above < 2) nodes[z].side[above] = x;
}

static void splay(struct thread_tree_node *nodes, uint32_t x) {
    for (unsigned side; (side = side_of(nodes, x)) < 2;) {
        uint32_t y = nodes[x].up;
        unsigned above = side_of(nodes, y);
        if (above < 2) rotate(nodes, above == side ? y : x);
        rotate(nodes, x);
    }
}

/* Makes the way from x to the top one splay tree, with x at its root and nothing deeper. */
static void expose(struct thread_tree_node *nodes, uint32_t x) {
    splay(nodes, x);
    nodes[x].side[1] = 0;
    while (nodes[x].up != 0) {
        uint32_t above = nodes[x].up;
        splay(nodes, above);
        nodes[above].side[1] = x;
        splay(nodes, x);
    }
}

static uint32_t find_top(struct thread_tree_node *nodes, uint32_t x) {
    expose(nodes, x);
    while (nodes[x].side[0] != 0)
        x = nodes[x].side[0];
    splay(nodes, x);
    return x;
}

bool thread_tree_link(struct thread_tree *tree, uint32_t parent, uint32_t child) {
    struct thread_tree_node *nodes = tree->nodes;
    if (parent == child) return false;
    if (nodes[child].child_count > 0 && find_top(nodes, parent) == child) return false;
    expose(nodes, child);
    nodes[child].up = parent;
    nodes[child].parent = parent;
    nodes[parent].child_count++;
    return true;
}

void thread_tree_cut(struct thread_tree *tree, uint32_t child) {
    struct thread_tree_node *nodes = tree->nodes;
    expose(nodes, child);
    nodes[nodes[child].side[0]].up = 0;
    nodes[child].side[0] = 0;
    nodes[nodes[child].parent].child_count--;
    nodes[child].parent = 0;
}
