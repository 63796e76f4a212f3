/* memcached's hash table (assoc.c), as far as a load of many rows needs it. */
#ifndef TABLE_H
#define TABLE_H

#include "worker.h"

/* hash.h: hash_func */
typedef uint32_t hash_fn(const void *key, size_t length);

/* In the proof's child: the address of primary_hashtable, or 0. */
uintptr_t locate_table(struct backdoor_worker *worker);

void table_bind(uintptr_t primary);
bool table_located(void);
uint32_t table_hash(const char *key, size_t nkey);

/* All that follows is for the worker that has the turn. */
/*
 * Whether no items are being moved into a larger table; then *array is the table, of *n
 * buckets, until the worker returns to its loop.
 */
bool table_settled(void ***array, uint64_t *n);
bool table_has_room(struct backdoor_expected expected);
void table_took(uint32_t rows);
void table_fetch_bucket(uint32_t hv);
void table_fetch_item(uint32_t hv);

#endif
