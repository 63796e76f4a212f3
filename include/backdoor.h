/*
 * The border between our C and our Go, and between the part of our C that sits
 * behind libc's names (preload/) and the part that works in memcached's cache
 * (preload/cache/).
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

/* Where the chunks of its large items come from. */
enum backdoor_chunks {
    BACKDOOR_CHUNKS_NONE,  /* to 1.4.28 every item is of one piece */
    BACKDOOR_CHUNKS_READY, /* to 1.4.35 item_alloc allocates them all */
    BACKDOOR_CHUNKS_LAZY,  /* do_item_alloc_chunk allocates one after the other */
};

/* Which store_item it has. */
enum backdoor_store_abi {
    BACKDOOR_STORE_CONN,
    BACKDOOR_STORE_THREAD,
    BACKDOOR_STORE_NBYTES,
    BACKDOOR_STORE_CAS_IN,
};

/* memcached's functions at their addresses in this process, or 0, and their dialect. */
struct backdoor_functions {
    uintptr_t item_alloc;
    uintptr_t store_item;
    uintptr_t item_remove;
    uintptr_t item_get;
    uintptr_t item_unlink;
    uintptr_t do_item_alloc_chunk;
    uintptr_t get_cas_id;  /* from 1.6.27 on; or, where it is inlined, what it is made of: */
    uintptr_t cas_id_lock; /* a pthread_mutex_t */
    uintptr_t cas_id;      /* a uint64_t */
    uintptr_t hash;        /* a hash_func * */
    uintptr_t assoc_start_expand;
    uintptr_t maintenance_lock; /* a pthread_mutex_t, which it tries */
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

/* Steps of the proof, in order; the last one reached is what is reported. */
enum backdoor_proof_step {
    BACKDOOR_PROOF_FORKED, /* a child exists; it cuts itself off from memcached */
    BACKDOOR_PROOF_ALLOC,  /* it calls item_alloc and looks at the header */
    BACKDOOR_PROOF_STORE,  /* store_item, item_get, item_remove, item_unlink */
    BACKDOOR_PROOF_LIMITS, /* the largest item, the size of the client flags */
    BACKDOOR_PROOF_CHUNKS, /* a large item's chunks */
    BACKDOOR_PROOF_TABLE,  /* where the hash table is; to be without it is no failure */
    BACKDOOR_PROOF_LOCKS,  /* and where the items' locks are, likewise */
    BACKDOOR_PROOF_HOLDS,
};

/* What the child has to say; written to a page that it shares with the parent, at each step. */
struct backdoor_proof {
    int32_t step;           /* the step it is in: enum backdoor_proof_step */
    int32_t line;           /* of prove.c, where an expectation did not hold; or 0 */
    char hindrance[96];     /* why the proof cannot be made now; or "" */
    int32_t error;          /* and the errno of that; or 0 */
    int64_t clock;          /* current_time minus CLOCK_MONOTONIC, in seconds */
    uint64_t item_size_max; /* bytes of the largest item, header and key included */
    uint64_t suffix[2];     /* bytes of client flags in an item, 0 and others; none at all: text */
    uint64_t has_cas;       /* items have a CAS unique: memcached runs without -C */
    uint64_t table;         /* the address of primary_hashtable; 0: not located */
    uint64_t locks;         /* the address of item_locks; 0: not located */
    uint32_t lock_mask;     /* which of them a hash has */
};

/* What became of a row. */
enum backdoor_outcome {
    BACKDOOR_PENDING, /* not reached: memcached is stopping */
    BACKDOOR_STORED,
    BACKDOOR_EXISTS,    /* add: the key is there */
    BACKDOOR_MISSING,   /* replace: the key is not there */
    BACKDOOR_TOO_LARGE, /* above item_size_max */
    BACKDOOR_NO_MEMORY, /* no room, and nothing that may be evicted */
    BACKDOOR_EXPIRED,   /* the key is not there, or not any more */
    BACKDOOR_OUTCOMES,
};

/* Beside memcached's NREAD_*: takes the key's old value out, as memcached does with an item whose
 * time has passed.  The row's value is too large. */
enum { BACKDOOR_EXPIRE = 100 };

/* A time to live for an item that has expired when it is stored. */
#define BACKDOOR_PAST UINT32_MAX

struct backdoor_row {
    uint32_t key;    /* offset of the key in the batch's data */
    uint32_t value;  /* offset of the value */
    uint32_t nvalue; /* bytes; above INT_MAX: too large, and not there */
    uint32_t flags;  /* client flags of the item */
    uint32_t ttl;    /* seconds, INT32_MAX at most; 0: never expires; or BACKDOOR_PAST */
    uint32_t cas;    /* offset of the item's CAS unique, a uint64_t; 0: memcached draws one */
    uint32_t hv;     /* the key's hash, once made */
    uint8_t comm;    /* NREAD_SET, NREAD_ADD, NREAD_REPLACE, BACKDOOR_EXPIRE */
    uint8_t nkey;    /* 1 to KEY_MAX_LENGTH, the caller has checked it */
    uint8_t outcome; /* enum backdoor_outcome */
    bool stale, won; /* the marks that the item gets; see struct backdoor_item */
    bool made;       /* atomic: it is what became of making the item */
    item *it;        /* with its data, not stored yet; NULL: the worker that stores makes it */
};

/* What is known of the rows of a load. */
struct backdoor_expected {
    uint64_t rows;      /* in all; 0: not known */
    uint64_t row_bytes; /* bytes of one, on average */
};

struct backdoor_worker;

/* What a job's slice of work ends with. */
enum backdoor_progress {
    BACKDOOR_FINISHED,
    BACKDOOR_MORE,  /* it goes on as soon as the worker has served its connections */
    BACKDOOR_LATER, /* something must happen first: it looks again in a millisecond */
};

/*
 * Work for a memcached worker thread.  run is called with the time (in
 * nanoseconds of CLOCK_MONOTONIC) at which it must return.  From backdoor_submit
 * until finished is set the job belongs to the workers.
 *
 * A job that is shared (worker.h: worker_share) has its aid called on another worker,
 * at any time in relation to run; it answers whether there is more to do now.
 */
struct backdoor_job {
    struct backdoor_job *next;
    enum backdoor_progress (*run)(struct backdoor_job *job, struct backdoor_worker *worker,
                                  int64_t until);
    bool (*aid)(struct backdoor_job *job, int64_t until);
    int done;     /* eventfd, written when finished is set; stays the submitter's */
    int finished; /* atomic: 1 finished, -1 never will be: no worker is left */
};

/* A batch of rows to store: the job of a load. */
struct backdoor_batch {
    struct backdoor_job job;
    char *data;
    struct backdoor_row *rows;
    uint32_t nrows;
    struct backdoor_expected expected;
    bool binary; /* some of the keys are not such as stand in commands */

    uint32_t counts[BACKDOOR_OUTCOMES];

    /* Where the store stands; the workers' affair. */
    uint32_t row;     /* atomic: the one to be stored next */
    uint32_t claimed; /* atomic: rows before this one have somebody who makes their items */
    uint32_t buckets; /* rows before this one have had their buckets fetched */
    uint32_t items;   /* and before this one the first items in them */
    bool shared;      /* another worker may be making items */
    bool alone;       /* memory is short: one item at a time */
    item *it;         /* being filled, or NULL */
    item_chunk *ch;   /* its current chunk */
    uint32_t filled;
};

/*
 * An item that a walk has met, in its buffer at a multiple of 8 bytes; the key, and the value
 * if it was asked for and is not external, are behind it.
 */
struct backdoor_item {
    uint32_t size;   /* bytes of all of it, a multiple of 8 */
    uint32_t nvalue; /* bytes of the value, whether it is there or not */
    uint64_t flags;  /* client flags */
    uint64_t cas;    /* its CAS unique; 0: memcached has none (-C) */
    int64_t left;    /* seconds until it expires; -1: never */
    int64_t idle;    /* seconds since it was stored or last asked for, some 60 s more or less */
    uint8_t nkey;
    uint8_t slabs_clsid; /* the slab class that it is in */
    bool external;       /* its value is in extstore, on a disk */
    bool stale;          /* it was invalidated, and is still served (ITEM_STALE) */
    bool won;            /* a client was told to make its value anew (ITEM_TOKEN_SENT) */
};

/* A walk through all items: the job of a dump. */
struct backdoor_walk {
    struct backdoor_job job;

    /* Set by the submitter. */
    char *data; /* items are put there, one after the other */
    uint32_t room;
    bool values; /* with their values */
    uint8_t nprefix;
    char prefix[KEY_MAX_LENGTH]; /* of the keys that are wanted */
    char *keys; /* room for the keys of a bucket; kept from one submission to the next */
    uint32_t keys_room;

    /* What it came to. */
    uint32_t filled;      /* bytes of items in data */
    uint32_t needed;      /* bytes that the next item takes, more than there were left */
    uint32_t keys_needed; /* bytes that the next bucket's keys take, likewise */
    bool end;             /* there are no more */
    bool moving;          /* nothing can be met: the table is growing */

    /* Where it stands; the submitter may read bucket and buckets between two submissions. */
    uint64_t bucket;     /* the next one */
    uint64_t buckets;    /* of the table as it was at the beginning; 0: it has not begun */
    uint32_t nkeys, key; /* bytes in keys, and of them those whose items are in data */
    item *it;            /* being copied, or NULL */
    item_chunk *ch;      /* its current chunk, of a large one */
    uint32_t offset;     /* in the chunk */
    uint32_t copied;     /* bytes of the value */

    /* In this slice: memcached's clock; the least time, and CAS unique, of who is known to be
     * alive. */
    int64_t now;
    rel_time_t alive_time;
    uint64_t alive_cas;
};

/* The proof: a job that forks. */
struct backdoor_prove {
    struct backdoor_job job; /* its done is none: no descriptor may be left for it */
    struct backdoor_functions functions;
    struct backdoor_proof *report; /* shared memory, in which the child reports; the caller's */
    int pid;                       /* of the child, or a negative errno */
};

/* preload/cache/worker.c */
int backdoor_worker_wake(int from);
void backdoor_worker_enter(void *thread, struct event_base *base, int wake);
void backdoor_worker_leave(void);
int backdoor_workers(void);
void backdoor_submit(struct backdoor_job *job);

/* preload/cache/store.c */
void backdoor_bind(const struct backdoor_functions *functions, const struct backdoor_proof *proof);
void backdoor_batch_start(struct backdoor_batch *batch);
void backdoor_batch_look(struct backdoor_batch *batch);
size_t backdoor_item_size(size_t nkey, uint32_t flags, size_t nvalue);

/* preload/cache/table.c */
void backdoor_hold_growth(bool hold);

/* preload/cache/walk.c */
bool backdoor_can_walk(void);
void backdoor_walk_start(struct backdoor_walk *walk);

/* preload/cache/prove.c */
void backdoor_prove_start(struct backdoor_prove *prove);

#endif
