/* The walk through all items (backdoor.h). */
#ifndef WALK_H
#define WALK_H

#include <pthread.h>
#include <stdint.h>

/* array is the address of item_locks, or 0; mask the bits of a hash that are an index of it. */
void walk_bind(uint64_t array, uint32_t mask);

/* The lock of the items with a hash; if a walk is possible. */
pthread_mutex_t *walk_lock(uint32_t hv);

#endif
