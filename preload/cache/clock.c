/*
 * memcached's clock ticks once a second (memcached.c: clock_handler), so the offset that an item's
 * time shows is right or one too low: the largest that was ever seen is right.
 */
#include "clock.h"

#include "worker.h"

static int64_t clock_offset; /* atomic: current_time minus CLOCK_MONOTONIC, in seconds */

void clock_bind(int64_t offset) {
    clock_offset = offset;
}

int64_t clock_now(void) {
    return monotonic() / 1000000000 + __atomic_load_n(&clock_offset, __ATOMIC_RELAXED);
}

void clock_observe(const item *it) {
    int64_t offset = (int64_t)it->time - monotonic() / 1000000000;
    if (offset > clock_offset) {
        __atomic_store_n(&clock_offset, offset, __ATOMIC_RELAXED);
    }
}
