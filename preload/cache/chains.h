/* Prefetching the items of memcached's hash table (assoc.c). */
#ifndef CHAINS_H
#define CHAINS_H

#include <stdint.h>

/* How many chains are fetched together. */
#define CHAINS 64

/*
 * Prefetches the items of n buckets of a table, CHAINS at most.  For the worker that has the turn,
 * if a walk is possible (backdoor_can_walk).
 */
void chains_fetch(void **table, const uint64_t *buckets, unsigned n);

#endif
