/* memcached's clock. */
#ifndef CLOCK_H
#define CLOCK_H

#include "memcached.h"

/* offset is current_time minus CLOCK_MONOTONIC, in seconds. */
void clock_bind(int64_t offset);

/* memcached's current_time, in seconds; until an item was stored, and observed, perhaps one less.
 */
int64_t clock_now(void);

/* An item was stored just now. */
void clock_observe(const item *it);

#endif
