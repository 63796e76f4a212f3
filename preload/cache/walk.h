/* The walk through all items (backdoor.h). */
#ifndef WALK_H
#define WALK_H

#include <stdint.h>

/* array is the address of item_locks, or 0; mask the bits of a hash that are an index of it. */
void walk_bind(uint64_t array, uint32_t mask);

#endif
