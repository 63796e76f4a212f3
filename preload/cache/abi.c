#include "abi.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct backdoor_functions mc_functions;
uint64_t mc_suffix[2];

int mc_flags(const item *it) {
    return mc_functions.old_layout ? it->old.it_flags : it->it_flags;
}

/* memcached.h: ITEM_key */
char *mc_key(item *it) {
    return it->data + ((mc_flags(it) & ITEM_CAS) ? sizeof(uint64_t) : 0);
}

/* memcached.h: ITEM_data */
char *mc_data(item *it) {
    size_t suffix = mc_functions.old_layout             ? it->old.nsuffix
                    : (mc_flags(it) & ITEM_CFLAGS) != 0 ? mc_suffix[1]
                                                        : 0;
    return mc_key(it) + it->nkey + 1 + suffix;
}

char *mc_chunk_data(item_chunk *ch) {
    return (char *)ch + (mc_functions.old_layout ? CHUNK_DATA_OLD : CHUNK_DATA);
}

/* memcached.h: ITEM_get_cas */
uint64_t mc_cas(const item *it) {
    uint64_t cas = 0;
    if (mc_flags(it) & ITEM_CAS) {
        memcpy(&cas, it->data, sizeof cas);
    }
    return cas;
}

/* memcached.h: ITEM_set_cas.  A new item has the CAS unique of the item that had its memory before.
 * Another thread may be reading that of a stored one. */
void mc_set_cas(item *it, uint64_t cas) {
    if (mc_flags(it) & ITEM_CAS) {
        __atomic_store_n((uint64_t *)it->data, cas, __ATOMIC_RELAXED);
    }
}

item *mc_item_alloc(const char *key, size_t nkey, uint32_t flags, rel_time_t exptime, int nbytes) {
    uintptr_t address = mc_functions.item_alloc;
    if (mc_functions.alloc_hash) { /* item_alloc ignores the last argument */
        return ((item_alloc_hash_fn *)address)(key, nkey, flags, exptime, nbytes, 0);
    }
    return ((item_alloc_fn *)address)(key, nkey, flags, exptime, nbytes);
}

item *mc_item_get(const char *key, size_t nkey, struct backdoor_worker *worker) {
    uintptr_t address = mc_functions.item_get;
    bool conn = mc_functions.store_abi == BACKDOOR_STORE_CONN;
    switch (mc_functions.get_abi) {
    case BACKDOOR_GET_KEY:
        return ((item_get_key_fn *)address)(key, nkey);
    case BACKDOOR_GET_CONN:
        return ((item_get_conn_fn *)address)(key, nkey, worker->conn);
    case BACKDOOR_GET_UPDATE:
        break;
    }
    return ((item_get_update_fn *)address)(key, nkey, conn ? (void *)worker->conn : worker->thread,
                                           false);
}

uint64_t mc_get_cas_id(void) {
    if (mc_functions.get_cas_id != 0) {
        return ((get_cas_id_fn *)mc_functions.get_cas_id)();
    }
    pthread_mutex_lock((pthread_mutex_t *)mc_functions.cas_id_lock);
    uint64_t next = ++*(uint64_t *)mc_functions.cas_id;
    pthread_mutex_unlock((pthread_mutex_t *)mc_functions.cas_id_lock);
    return next;
}

/*
 * From 1.6.27 on the caller draws the CAS unique (proto_text.c: complete_nread_ascii).  Before,
 * store_item draws it, and it is overwritten here: the caller's reference keeps the item where it
 * is.
 */
enum store_item_type mc_store_item(item *it, int comm, struct backdoor_worker *worker,
                                   uint64_t cas) {
    uintptr_t address = mc_functions.store_item;
    void *thread = worker->thread;
    enum store_item_type stored = NOT_STORED;
    switch (mc_functions.store_abi) {
    case BACKDOOR_STORE_CONN:
        stored = ((store_item_conn_fn *)address)(it, comm, worker->conn);
        break;
    case BACKDOOR_STORE_THREAD:
        stored = ((store_item_thread_fn *)address)(it, comm, thread, NULL, false);
        break;
    case BACKDOOR_STORE_NBYTES:
        stored = ((store_item_nbytes_fn *)address)(it, comm, thread, NULL, NULL, false);
        break;
    case BACKDOOR_STORE_CAS_IN:
        if (cas == 0 && (mc_flags(it) & ITEM_CAS)) {
            cas = mc_get_cas_id();
        }
        return ((store_item_cas_in_fn *)address)(it, comm, thread, NULL, NULL, cas, false);
    }
    if (cas != 0 && stored == STORED) {
        mc_set_cas(it, cas);
    }
    return stored;
}

enum store_item_type mc_store_stale(item *it, struct backdoor_worker *worker) {
    uintptr_t address = mc_functions.store_item;
    void *thread = worker->thread;
    switch (mc_functions.store_abi) {
    case BACKDOOR_STORE_CONN:
        break;
    case BACKDOOR_STORE_THREAD:
        return ((store_item_thread_fn *)address)(it, NREAD_CAS, thread, NULL, true);
    case BACKDOOR_STORE_NBYTES:
        return ((store_item_nbytes_fn *)address)(it, NREAD_CAS, thread, NULL, NULL, true);
    case BACKDOOR_STORE_CAS_IN:
        return ((store_item_cas_in_fn *)address)(it, NREAD_CAS, thread, NULL, NULL, mc_get_cas_id(),
                                                 true);
    }
    return NOT_STORED;
}

void mc_item_remove(item *it) {
    ((item_remove_fn *)mc_functions.item_remove)(it);
}

void mc_item_unlink(item *it) {
    ((item_unlink_fn *)mc_functions.item_unlink)(it);
}

item_chunk *mc_next_chunk(item_chunk *ch, size_t bytes_remain) {
    if (mc_functions.chunks == BACKDOOR_CHUNKS_READY) {
        return ch->next;
    }
    return ((do_item_alloc_chunk_fn *)mc_functions.do_item_alloc_chunk)(ch, bytes_remain);
}

size_t mc_item_size(size_t nkey, uint32_t flags, int nbytes) {
    size_t suffix = mc_suffix[flags != 0];
    if (mc_suffix[1] == 0) {
        suffix = (size_t)snprintf(NULL, 0, " %u %d\r\n", flags, nbytes - 2);
    }
    return ITEM_OVERHEAD + nkey + suffix + (size_t)nbytes;
}

uint32_t mc_hash(const char *key, size_t nkey) {
    return (*(hash_fn **)mc_functions.hash)(key, nkey);
}
