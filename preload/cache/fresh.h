/* Fresh memory for memcached's slabs, its pages faulted in ahead on a thread of ours. */
#ifndef FRESH_H
#define FRESH_H

#include <stdbool.h>
#include <stdint.h>

#define FRESH_BLOCKS 64

/*
 * A worker's blocks, oldest first, as numbers that only grow; each is used by its number
 * modulo FRESH_BLOCKS.  They are the turn's holder's, but for touched.
 */
struct fresh {
    char *blocks[FRESH_BLOCKS];
    uint64_t used;      /* memcached has these */
    uint64_t freed;     /* these were given back, for memcached to get */
    uint64_t touched;   /* atomic, the toucher's: these have their pages */
    uint64_t allocated; /* atomic: these exist */
    uintptr_t low;      /* the blocks between used and freed are from here ... */
    uintptr_t high;     /* ... to here */
};

/* For the worker that has the turn; thread is its own. */
bool fresh_tend(struct fresh *fresh, int workers);
void fresh_found(struct fresh *fresh, const void *item);
bool fresh_holds(const struct fresh *fresh);
void fresh_release(struct fresh *fresh);

/* For the toucher. */
void fresh_touch(struct fresh *fresh);

#endif
