/* memcached's functions and items, by the ABI of this memcached's version. */
#ifndef ABI_H
#define ABI_H

#include "worker.h"

/* What was found, and from the proof the bytes that client flags take in an item: of 0, and of
 * others.  Constant once backdoor_bind has set them; in the proof's child the child sets them. */
extern struct backdoor_functions mc_functions;
extern uint64_t mc_suffix[2];

int mc_flags(const item *it);
char *mc_key(item *it);
/* Of a chunked item, its first chunk. */
char *mc_data(item *it);
char *mc_chunk_data(item_chunk *ch);
/* An item's CAS unique; 0 if it has none. */
uint64_t mc_cas(const item *it);
/* Does nothing if the item has none. */
void mc_set_cas(item *it, uint64_t cas);

/* Allocates an item with one reference, the caller's, for mc_item_remove.  NULL: it is too large,
 * or there is no memory. */
item *mc_item_alloc(const char *key, size_t nkey, uint32_t flags, rel_time_t exptime, int nbytes);
/* Gets the item of a key, with a further reference, for mc_item_remove; NULL if there is none. */
item *mc_item_get(const char *key, size_t nkey, struct backdoor_worker *worker);
/* Stores an item with this CAS unique; 0: with the next one.  The reference stays the caller's. */
enum store_item_type mc_store_item(item *it, int comm, struct backdoor_worker *worker,
                                   uint64_t cas);
/*
 * Stores an item that a client has made of an older value, as "ms" with the flag I does
 * (memcached.c: do_store_item, cas_stale).  To 1.6.18 the flag is in a conn, and nothing is stored
 * here.
 */
enum store_item_type mc_store_stale(item *it, struct backdoor_worker *worker);
void mc_item_remove(item *it);
void mc_item_unlink(item *it);
/* The chunk after a full one; NULL if there is no memory for it. */
item_chunk *mc_next_chunk(item_chunk *ch, size_t bytes_remain);
/* The bytes of an item, as memcached compares them with -I (items.c: item_make_header). */
size_t mc_item_size(size_t nkey, uint32_t flags, int nbytes);
/* Draws the next CAS unique. */
uint64_t mc_get_cas_id(void);
/* The key's hash, as store_item will compute it; on any worker. */
uint32_t mc_hash(const char *key, size_t nkey);

#endif
