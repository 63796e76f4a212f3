/* memcached's item locks (thread.c: item_locks), as far as a walk through all items needs them. */
#ifndef LOCKS_H
#define LOCKS_H

#include "dialect.h"

/*
 * In the proof's child: the address of item_locks, an array of pthread_mutex_t, and
 * the mask that makes a hash an index of it.  Answers false where they are not found.
 */
bool locate_locks(struct backdoor_worker *worker, uint64_t *array, uint32_t *mask);

void walk_bind(uint64_t array, uint32_t mask);

#endif
