/* The locks of memcached's items (thread.c: item_locks). */
#ifndef LOCKS_H
#define LOCKS_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* array is the address of item_locks, or 0; mask the bits of a hash that are an index of it. */
void locks_bind(uint64_t array, uint32_t mask);
bool locks_located(void);

/* The lock of the items with a hash; if they are located.  All items of a bucket have the same. */
pthread_mutex_t *item_lock(uint32_t hv);

#endif
