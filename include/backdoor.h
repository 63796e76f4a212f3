/*
 * The border between the library's C and its Go, and between the two parts of the C: the one
 * behind libc's names (preload/startup) and the one that works in memcached's cache
 * (preload/cache).
 */
#ifndef BACKDOOR_H
#define BACKDOOR_H

#include "memcached.h"

struct event_base;

/* Which item_get this memcached has; see memcached.h. */
enum backdoor_get_abi {
    BACKDOOR_GET_KEY,
    BACKDOOR_GET_CONN,
    BACKDOOR_GET_UPDATE,
};

/* Which function allocates the chunks of a large item. */
enum backdoor_chunks {
    BACKDOOR_CHUNKS_NONE,  /* to 1.4.28: an item is one piece of memory */
    BACKDOOR_CHUNKS_READY, /* to 1.4.35: item_alloc, all of them */
    BACKDOOR_CHUNKS_LAZY,  /* do_item_alloc_chunk, one after the other */
};

/* Which store_item this memcached has; see memcached.h. */
enum backdoor_store_abi {
    BACKDOOR_STORE_CONN,
    BACKDOOR_STORE_THREAD,
    BACKDOOR_STORE_NBYTES,
    BACKDOOR_STORE_CAS_IN,
};

/* memcached's functions and variables at their addresses in this process, or 0; and their ABI. */
struct backdoor_functions {
    uintptr_t item_alloc;
    uintptr_t store_item;
    uintptr_t item_remove;
    uintptr_t item_get;
    uintptr_t item_unlink;
    uintptr_t do_item_alloc_chunk;
    uintptr_t get_cas_id;  /* from 1.6.27 on; if it is inlined, the two variables that it uses: */
    uintptr_t cas_id_lock; /* a pthread_mutex_t */
    uintptr_t cas_id;      /* a uint64_t */
    uintptr_t hash;        /* a hash_func * */
    uintptr_t assoc_start_expand;
    uintptr_t maintenance_lock; /* a pthread_mutex_t, which assoc_start_expand tries */
    uintptr_t maxbytes;         /* settings.maxbytes, a size_t */
    enum backdoor_get_abi get_abi;
    enum backdoor_store_abi store_abi;
    enum backdoor_chunks chunks;
    bool alloc_hash; /* to 1.4.28: do_item_alloc takes cur_hv */
    bool marks_keys; /* from 1.6.10 on: binary keys are marked (ITEM_KEY_BINARY) */
    bool has_stale;  /* from 1.5.19 on: items are marked as stale and won (ITEM_STALE,
                        ITEM_TOKEN_SENT) */
    bool old_layout; /* to 1.5.14: nsuffix and 8-bit it_flags */
};

/* Steps of the proof, in order; the report has the last one reached. */
enum backdoor_proof_step {
    BACKDOOR_PROOF_FORKED, /* the child exists; it isolates itself from memcached */
    BACKDOOR_PROOF_ALLOC,  /* it calls item_alloc and checks the header */
    BACKDOOR_PROOF_STORE,  /* store_item, item_get, item_remove, item_unlink */
    BACKDOOR_PROOF_LIMITS, /* the largest item, the size of the client flags */
    BACKDOOR_PROOF_CHUNKS, /* a large item's chunks */
    BACKDOOR_PROOF_TABLE,  /* the address of the hash table; optional */
    BACKDOOR_PROOF_LOCKS,  /* the address of the items' locks; optional */
    BACKDOOR_PROOF_HOLDS,
};

/* The child's report, in a page that it shares with the parent; written at each step. */
struct backdoor_proof_report {
    int32_t step;           /* the current step: enum backdoor_proof_step */
    int32_t line;           /* of prove.c: the expectation that did not hold; or 0 */
    char reason[96];        /* the reason why the proof cannot be made now; or "" */
    int32_t error;          /* and its errno; or 0 */
    int64_t clock;          /* current_time minus CLOCK_MONOTONIC, in seconds */
    uint64_t item_size_max; /* bytes of the largest item, header and key included */
    uint64_t suffix[2]; /* bytes of client flags in an item: of 0, and of others; both 0: text */
    uint64_t has_cas;   /* items have a CAS unique: memcached runs without -C */
    uint64_t table;     /* the address of primary_hashtable; 0: not located */
    uint64_t locks;     /* the address of item_locks; 0: not located */
    uint32_t lock_mask; /* the bits of a hash that are an index of item_locks */
};

/* What became of a row. */
enum backdoor_outcome {
    BACKDOOR_PENDING, /* not reached: memcached is stopping */
    BACKDOOR_STORED,
    BACKDOOR_EXISTS,    /* add: the key exists */
    BACKDOOR_MISSING,   /* replace: the key does not exist */
    BACKDOOR_TOO_LARGE, /* above item_size_max */
    BACKDOOR_NO_MEMORY, /* no free memory, and nothing can be evicted */
    BACKDOOR_EXPIRED,   /* the key does not exist, or no longer */
    BACKDOOR_OUTCOMES,
};

/* A command, as memcached's NREAD_*: removes the key's old value, as memcached does with an item
 * that has expired.  The row's value is too large. */
enum { BACKDOOR_EXPIRE = 100 };

/* The TTL of an item that has expired when it is stored. */
#define BACKDOOR_PAST UINT32_MAX

struct backdoor_row {
    uint32_t key;    /* offset of the key in the batch's data */
    uint32_t value;  /* offset of the value */
    uint32_t nvalue; /* bytes; above INT_MAX: too large, and not in the data */
    uint32_t flags;  /* client flags of the item */
    uint32_t ttl;    /* seconds, INT32_MAX at most; 0: never expires; or BACKDOOR_PAST */
    uint32_t cas;    /* offset of the item's CAS unique, a uint64_t; 0: memcached draws one */
    uint32_t hv;     /* the key's hash, once made is set */
    uint8_t comm;    /* NREAD_SET, NREAD_ADD, NREAD_REPLACE, BACKDOOR_EXPIRE */
    uint8_t nkey;    /* 1 to KEY_MAX_LENGTH; the caller has checked it */
    uint8_t outcome; /* enum backdoor_outcome */
    bool stale, won; /* the marks that the item gets; see struct backdoor_item */
    bool made;       /* atomic: hv is set, and so is it, unless that failed */
    item *it;        /* with its data, not stored yet; NULL: made when the row is stored */
};

/* What is known of the rows of a load. */
struct backdoor_expected {
    uint64_t rows;      /* in all; 0: unknown */
    uint64_t row_bytes; /* bytes of one, on average */
};

struct backdoor_worker;

/* How a job's slice ends. */
enum backdoor_progress {
    BACKDOOR_FINISHED,
    BACKDOOR_MORE,  /* it continues as soon as the worker has served its connections */
    BACKDOOR_LATER, /* it waits for something: it continues in a millisecond */
};

/*
 * Work for a memcached worker.  run is called for each slice, with the time (CLOCK_MONOTONIC in
 * nanoseconds) at which it must return; the worker is NULL if memcached is stopping, and run gives
 * back what the job holds.  From backdoor_submit until finished is set the job belongs to the
 * workers.
 *
 * help is called on another worker while the job is shared (share.h), concurrently with run; it
 * returns whether there is more to do now.
 */
struct backdoor_job {
    struct backdoor_job *next;
    enum backdoor_progress (*run)(struct backdoor_job *job, struct backdoor_worker *worker,
                                  int64_t until);
    bool (*help)(struct backdoor_job *job, int64_t until);
    int done;     /* an eventfd, written when finished is set; the submitter's; -1: none */
    int finished; /* atomic: 1 finished; -1 never will be: no worker is left */
};

/* A batch of rows to store: the job of a load. */
struct backdoor_batch {
    struct backdoor_job job;
    char *data;
    struct backdoor_row *rows;
    uint32_t nrows;
    struct backdoor_expected expected;
    bool binary; /* some keys are binary */

    uint32_t counts[BACKDOOR_OUTCOMES];

    /* The state of the store; for the workers only. */
    uint32_t next_row;        /* atomic: the next one to store */
    uint32_t claimed;         /* atomic: some worker makes the items of the rows before this one */
    uint32_t fetched_buckets; /* the buckets of the rows before this one have been prefetched */
    uint32_t fetched_items;   /* and the first items in them, of the rows before this one */
    bool shared;              /* another worker may be making items */
    bool memory_short;        /* items are made one at a time */
    item *it;                 /* being filled, or NULL */
    item_chunk *chunk;        /* its current chunk; NULL: it is not chunked */
    uint32_t filled;          /* bytes of its data */
};

/*
 * An item that a walk has found, in its buffer at a multiple of 8 bytes.  The key follows it, then
 * the value if it was asked for and is not external.
 */
struct backdoor_item {
    uint32_t size;            /* bytes, with key and value; a multiple of 8 */
    uint32_t nvalue;          /* bytes of the value, even if it does not follow */
    uint64_t flags;           /* client flags */
    uint64_t cas;             /* its CAS unique; 0: memcached has none (-C) */
    int64_t ttl;              /* seconds until it expires; -1: never */
    int64_t idle;             /* seconds since its time */
    rel_time_t exptime, time; /* both as memcached has them */
    uint8_t nkey;
    uint8_t slabs_clsid; /* its slab class; of an item in chunks: the largest one */
    uint16_t besides;    /* bytes in memory besides key and value: header, flags, line end */
    bool external;       /* its value does not follow: see extstore; or a part of it is missing */
    bool extstore;       /* its value is in extstore, on a disk (ITEM_HDR) */
    bool stale;          /* it was invalidated, and is still served (ITEM_STALE) */
    bool won;            /* a client was told to recache its value (ITEM_TOKEN_SENT) */
    bool gone;           /* there is no item with this key */
    bool fetched; /* it was read since it was stored (ITEM_FETCHED): perhaps after its time */
};

/* A walk through all items, or through those of the keys that the submitter lists: the job of a
 * dump. */
struct backdoor_walk {
    struct backdoor_job job;

    /* Set by the submitter, which owns the buffers. */
    char *data; /* the buffer for items */
    uint32_t room;
    bool values; /* with their values */
    uint8_t nprefix;
    char prefix[KEY_MAX_LENGTH]; /* of the keys that are wanted */
    /* The buffer for keys, each behind a byte with its length: of a bucket, unchanged between two
     * submissions; or, listed, those whose items are wanted, in keys_filled bytes. */
    char *keys;
    uint32_t keys_room;
    bool listed;

    /* The result of a submission. */
    uint32_t filled;      /* bytes of items in data */
    uint32_t needed;      /* bytes of the next item, which found no room; or 0 */
    uint32_t keys_needed; /* bytes of the next bucket's keys, which found no room; or 0 */
    bool end;             /* the walk is complete */
    bool growing;         /* nothing can be found: the table is growing */

    /* The state of the walk; the submitter may read bucket and buckets between two submissions. */
    uint64_t bucket;      /* the next one */
    uint64_t buckets;     /* of the table as it was at the beginning; 0: not begun */
    uint32_t keys_filled; /* bytes in keys */
    uint32_t keys_done;   /* bytes in keys whose items are in data */
    item *it;             /* being copied, or NULL */
    item_chunk *chunk;    /* its current chunk; NULL: it is not chunked */
    uint32_t offset;      /* in the chunk */
    uint32_t copied;      /* bytes of the value */

    /* In this slice: memcached's clock; the least time and CAS unique of the items that are known
     * to be live. */
    int64_t now;
    rel_time_t live_time;
    uint64_t live_cas;
};

/* What becomes of items. */
enum backdoor_change {
    BACKDOOR_DELETE,
    BACKDOOR_TOUCH, /* they get another time to live */
};

enum backdoor_changed {
    BACKDOOR_CHANGED,
    BACKDOOR_REPLACED, /* a client has stored another, or changed it so that it may not match */
    BACKDOOR_GONE,
    BACKDOOR_CHANGED_OUTCOMES,
};

/* An item that a walk has found, and that is to be changed if it is still the same. */
struct backdoor_found {
    uint64_t cas;
    rel_time_t exptime, time;
    uint32_t nvalue;
    uint32_t key; /* offset of the key in the data */
    uint32_t ttl; /* seconds, INT32_MAX at most; 0: never expires */
    uint8_t nkey;
};

/* Items to change: a job. */
struct backdoor_changes {
    struct backdoor_job job;

    /* Set by the submitter, which owns the buffers. */
    char *data;
    struct backdoor_found *found;
    uint32_t nfound;
    enum backdoor_change change;
    bool same_life; /* the item is another one if it expires at another time */
    bool same_use;  /* or if it was read, or stored anew */

    uint32_t counts[BACKDOOR_CHANGED_OUTCOMES];
    uint32_t next; /* for the workers only */
};

/* The proof: a job that forks. */
struct backdoor_proof_job {
    struct backdoor_job job; /* has no eventfd: there may be no descriptor left for one */
    struct backdoor_functions functions;
    struct backdoor_proof_report *report; /* shared memory; the submitter's */
    int pid;                              /* of the child, or a negative errno */
};

/* preload/cache/enter.c, worker.c */

/*
 * Makes the eventfd of a worker, with the number from or a higher one.  Called on memcached's main
 * thread before memcached makes the worker: the eventfd has a low number for a moment, which is
 * free again before memcached opens its next descriptor.  Returns -1 with errno.
 */
int backdoor_worker_eventfd(int from);

/*
 * Makes the calling thread, a memcached worker about to enter its loop on base, run jobs.  thread
 * is its LIBEVENT_THREAD.  eventfd becomes the worker's.  If this fails, the worker is unchanged;
 * without any worker the door rejects calls.
 */
void backdoor_worker_enter(void *thread, struct event_base *base, int eventfd);

/* The calling thread, a worker, is about to end. */
void backdoor_worker_leave(void);

/* How many workers run jobs. */
int backdoor_worker_count(void);

/* preload/cache/turn.c */

/* Submits a job to the workers, from any thread; never blocks. */
void backdoor_submit(struct backdoor_job *job);

/* preload/cache/store.c */

/* Sets what was found and proven; called once, before the first batch is submitted. */
void backdoor_bind(const struct backdoor_functions *functions,
                   const struct backdoor_proof_report *report);

/* Submits a batch whose job.done, data, rows, nrows and expected are set; no row has an outcome. */
void backdoor_submit_batch(struct backdoor_batch *batch);

/* The same, to look the rows' keys up: their outcome is stored or missing. */
void backdoor_submit_lookup(struct backdoor_batch *batch);

/* The bytes of an item. */
size_t backdoor_item_size(size_t nkey, uint32_t flags, size_t nvalue);

/* preload/cache/table.c */

/* Begins (true) or ends (false) one hold; while there is any, no growth is requested. */
void backdoor_hold_growth(bool hold);

/* preload/cache/walk.c */

/* Was all found that a walk needs? */
bool backdoor_can_walk(void);

/*
 * Submits a walk, to begin or continue it; job.done and the fields of the submitter are set.  It is
 * finished at its end, when a buffer has no room for what follows, when the table is growing, or
 * after a slice of a million buckets.
 */
void backdoor_submit_walk(struct backdoor_walk *walk);

/* Submits a walk that is listed: it finds the items of the keys, and is finished when all are in
 * data, or when data has no room for the next one. */
void backdoor_submit_listed(struct backdoor_walk *walk);

/* preload/cache/change.c */

/* Submits changes whose fields of the submitter and job.done are set; possible if a walk is. */
void backdoor_submit_changes(struct backdoor_changes *changes);

/* preload/cache/prove.c */

/* Submits a proof whose functions and report are set; the submitter polls job.finished. */
void backdoor_submit_proof(struct backdoor_proof_job *job);

#endif
