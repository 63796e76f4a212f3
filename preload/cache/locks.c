#include "locks.h"

#include <stddef.h>

static pthread_mutex_t *locks; /* item_locks, or NULL */
static uint32_t lock_mask;

void locks_bind(uint64_t array, uint32_t mask) {
    locks = (pthread_mutex_t *)array;
    lock_mask = mask;
}

bool locks_located(void) {
    return locks != NULL;
}

pthread_mutex_t *item_lock(uint32_t hv) {
    return &locks[hv & lock_mask];
}
