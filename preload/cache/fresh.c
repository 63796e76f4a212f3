/*
 * Memory that memcached is about to ask for, faulted in beforehand.
 *
 * A slab grows by malloc(1 MB), on the worker that stores (slabs.c: memory_allocate),
 * which then faults on each of its 256 pages: up to a third of the time of a load.
 * So the worker allocates ahead, in blocks; a thread of ours touches their pages; the
 * worker frees the blocks, and the allocator, which puts neighbours together, has
 * memory with pages for memcached's next request.
 *
 * Nothing but speed depends on the allocator's doing so.  Whether it did is seen
 * by the addresses of new items: there are never more blocks than a fixed number that
 * no item was seen in.
 */
#include "fresh.h"

#include <stdlib.h>

/*
 * Bytes of a block.  glibc maps what has 128 KB on its own, and its free unmaps it
 * (mallopt(3): M_MMAP_THRESHOLD); what is smaller comes from the thread's arena.
 */
#define BLOCK (96 << 10)

/* Blocks of a worker: two slab pages at least, and what the toucher is at. */
#define FEWEST 28
/* Of all workers together, 16 MB, where that leaves each enough. */
#define MOST_OF_ALL 170

#define PAGE 4096

static char **at(struct fresh *fresh, uint64_t n) {
    return &fresh->blocks[n % FRESH_BLOCKS];
}

/* The blocks that memcached may get are in [low, high). */
static void bound(struct fresh *fresh) {
    fresh->low = UINTPTR_MAX;
    fresh->high = 0;
    for (uint64_t n = fresh->used; n < fresh->freed; n++) {
        uintptr_t block = (uintptr_t)*at(fresh, n);
        fresh->low = block < fresh->low ? block : fresh->low;
        fresh->high = block + BLOCK > fresh->high ? block + BLOCK : fresh->high;
    }
}

/* Frees what has its pages.  The newest block stays: without it the allocator would give the
 * memory back to the kernel. */
static void give(struct fresh *fresh) {
    uint64_t touched = __atomic_load_n(&fresh->touched, __ATOMIC_ACQUIRE);
    if (touched == fresh->allocated) {
        touched--;
    }
    if ((int64_t)(touched - fresh->freed) <= 0) {
        return;
    }
    while (fresh->freed < touched) {
        free(*at(fresh, fresh->freed));
        fresh->freed++;
    }
    bound(fresh);
}

/*
 * Frees blocks and allocates others; workers is how many there are of them.  It returns whether
 * there is work for the toucher.
 */
bool fresh_tend(struct fresh *fresh, int workers) {
    give(fresh);
    uint64_t most = MOST_OF_ALL / (uint64_t)workers, before = fresh->allocated;
    if (most < FEWEST) {
        most = FEWEST;
    } else if (most > FRESH_BLOCKS) {
        most = FRESH_BLOCKS;
    }
    uint64_t n = before;
    for (; n - fresh->used < most; n++) {
        if ((*at(fresh, n) = malloc(BLOCK)) == NULL) {
            break;
        }
    }
    __atomic_store_n(&fresh->allocated, n, __ATOMIC_RELEASE);
    return n != before;
}

/* memcached has made an item here. */
void fresh_found(struct fresh *fresh, const void *item) {
    uintptr_t address = (uintptr_t)item;
    if (address < fresh->low || address >= fresh->high) {
        return;
    }
    for (uint64_t n = fresh->used; n < fresh->freed; n++) {
        if (address - (uintptr_t)*at(fresh, n) < BLOCK) {
            fresh->used = n + 1; /* it takes the oldest first, and those of a slab page together */
            bound(fresh);
            return;
        }
    }
}

/* Whether there is anything to release. */
bool fresh_holds(const struct fresh *fresh) {
    return fresh->freed != fresh->allocated;
}

/* Frees all blocks that the toucher is done with; it is called again if some are left. */
void fresh_release(struct fresh *fresh) {
    uint64_t touched = __atomic_load_n(&fresh->touched, __ATOMIC_ACQUIRE);
    while (fresh->freed < touched) {
        free(*at(fresh, fresh->freed));
        fresh->freed++;
    }
    fresh->used = fresh->freed;
    bound(fresh);
}

/* Touches the pages of new blocks. */
void fresh_touch(struct fresh *fresh) {
    uint64_t n = fresh->touched; /* nobody else writes it */
    while (n < __atomic_load_n(&fresh->allocated, __ATOMIC_ACQUIRE)) {
        volatile char *block = *at(fresh, n);
        for (size_t i = 0; i < BLOCK; i += PAGE) {
            block[i] = 0;
        }
        __atomic_store_n(&fresh->touched, ++n, __ATOMIC_RELEASE);
    }
}
