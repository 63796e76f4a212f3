/* memcached's hash table (assoc.c), as far as a load of many rows needs it. */
#ifndef TABLE_H
#define TABLE_H

#include "worker.h"

/* hash.h: hash_func */
typedef uint32_t hash_fn(const void *key, size_t length);

/* In the proof's child: the address of primary_hashtable, or 0. */
uintptr_t locate_table(struct backdoor_worker *worker);

/* All that follows is for the worker that has the turn. */
void table_bind(uintptr_t primary);
bool table_located(void);
bool table_has_room(struct backdoor_expected expected);
void table_took(uint32_t rows);
uint32_t table_fetch_bucket(const char *key, size_t nkey);
void table_fetch_item(uint32_t hv);

#endif
