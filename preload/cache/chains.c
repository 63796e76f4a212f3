/*
 * In a large table each item is a miss of the caches and of the TLB, and an item that is read
 * because the one before it names it costs as much as ten that are fetched at once.  So the first
 * items of many chains are fetched together, then the second ones, and then the third ones: chains
 * of more are rare.
 *
 * Between the prefetches of one place there is no lock: a locked instruction waits until the
 * addresses of all prefetches before it are translated.
 */
#include "chains.h"

#include "locks.h"
#include "worker.h"

/* How many items of a chain are fetched. */
#define DEPTH 3

/* The lines that a header and the beginning of a key are in. */
static void fetch(const item *it) {
    __builtin_prefetch(it);
    __builtin_prefetch((const char *)it + 64);
}

/* The item in a place of a chain.  It may be freed at any time: only its address is used. */
static const item *item_at(void **table, uint64_t bucket, unsigned place) {
    pthread_mutex_t *lock = item_lock((uint32_t)bucket);
    pthread_mutex_lock(lock);
    const item *it = table[bucket];
    for (; it != NULL && place > 0; place--) {
        it = it->h_next;
    }
    pthread_mutex_unlock(lock);
    return it;
}

void chains_fetch(void **table, const uint64_t *buckets, unsigned n) {
    const item *items[CHAINS];
    uint64_t chains[CHAINS]; /* the buckets whose chains are that long */
    INVARIANT(n <= CHAINS);
    for (unsigned place = 0; place < DEPTH; place++) {
        unsigned longer = 0;
        for (unsigned i = 0; i < n; i++) {
            uint64_t bucket = place == 0 ? buckets[i] : chains[i];
            const item *it = place == 0 ? table[bucket] : item_at(table, bucket, place);
            if (it != NULL) { /* an address that is not mapped would be translated each time */
                items[longer] = it;
                chains[longer++] = bucket;
            }
        }
        n = longer;
        for (unsigned i = 0; i < n; i++) {
            fetch(items[i]);
        }
    }
}
