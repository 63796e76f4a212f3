/* memcached's hash table (assoc.c), as far as loads and walks need it. */
#ifndef TABLE_H
#define TABLE_H

#include "worker.h"

/* primary is the address of primary_hashtable, or 0. */
void table_bind(uintptr_t primary);
bool table_located(void);

/* All that follows is for the worker that has the turn. */

/*
 * Sets *array and *buckets to the table and its size, valid until the worker returns to its loop.
 * Returns false while items are moved into a larger table: not all are in *array.
 */
bool table_get(void ***array, uint64_t *buckets);

/*
 * Makes the table ready for rows.  Returns whether rows should be stored now; if not, it grows.  If
 * growth cannot be requested, or memcached does not grow it, they should.  Called at the beginning
 * of each slice: table_fetch_* prefetch from the table that it saw.
 */
bool table_ready_or_grow(struct backdoor_expected expected);

/* Counts rows that were stored since the last call. */
void table_count_rows(uint32_t rows);

/* Prefetches the bucket of a hash, and the first item in it, once the bucket is there. */
void table_fetch_bucket(uint32_t hv);
void table_fetch_item(uint32_t hv);

#endif
