/* Calling memcached's functions in the dialect of the version that we are in. */
#ifndef DIALECT_H
#define DIALECT_H

#include "worker.h"

/* What was found; set by mc_bind. */
extern struct backdoor_functions mc_functions;
/* Bytes that client flags take in an item; from the proof. */
extern uint64_t mc_suffix[2];

int mc_flags(const item *it);
char *mc_key(item *it);
char *mc_data(item *it);
char *mc_chunk_data(item_chunk *ch);
void mc_set_cas(item *it, uint64_t cas);

item *mc_item_alloc(const char *key, size_t nkey, uint32_t flags, rel_time_t exptime, int nbytes);
item *mc_item_get(const char *key, size_t nkey, struct backdoor_worker *worker);
enum store_item_type mc_store_item(item *it, int comm, struct backdoor_worker *worker,
                                   uint64_t cas);
enum store_item_type mc_store_stale(item *it, struct backdoor_worker *worker);
void mc_item_remove(item *it);
void mc_item_unlink(item *it);
item_chunk *mc_next_chunk(item_chunk *ch, size_t bytes_remain);
size_t mc_item_size(size_t nkey, uint32_t flags, int nbytes);
uint64_t mc_get_cas_id(void);

#endif
