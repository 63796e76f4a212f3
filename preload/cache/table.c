/*
 * The hash table: fetching ahead what store_item will look for in it, and its
 * growth.
 *
 * memcached looks once a second whether the table has become too small (memcached.c:
 * clock_handler), which a load outruns: its rows end up in long chains.  So we ask
 * for growth ourselves, with memcached's own function and at its own threshold,
 * and stay away while the table grows, for the thread that moves the items sleeps
 * for 10 ms whenever it finds an item's lock taken (assoc.c:
 * assoc_maintenance_thread).
 *
 * Growing costs a cache miss for each item that is there, so the best moment is before
 * the load's first row.  How many will come is known of a file, and how many a full
 * cache holds is known of memcached: at once the table is made as large as
 * memcached would in the end, never larger.
 *
 * primary_hashtable is replaced only while all workers are paused, so that a
 * worker may use what it reads there until it returns to its loop.
 */
#include "table.h"

#include "dialect.h"
#include "roll_call.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

/* Buckets that are counted to learn how full the table is.  Hashes are even, so neighbours will do.
 */
#define SAMPLE 8192

/*
 * For rows of which it is not known how many will come, the table is made twice as large, or at
 * once so large (16 MB) as long as that is not more than 1/64 of memcached's memory.
 */
#define UNKNOWN_BUCKETS (UINT64_C(1) << 21)
#define UNKNOWN_SHARE 64

/* What an item has besides the bytes of its row: header, CAS, the byte behind the key. */
#define ITEM_BYTES (sizeof(item) + sizeof(uint64_t) + 1)

/* How long we wait for a growth that was asked for to begin, and for one to end, in nanoseconds. */
#define BEGIN_LIMIT INT64_C(100000000)
#define END_LIMIT INT64_C(10000000000)
/* How long we do not ask again after one that did not begin (memcached has no memory for it), or
 * where memcached's clock will ask. */
#define REFUSED INT64_C(1000000000)
/* memcached itself asks so often (memcached.c: clock_handler). */
#define TICK INT64_C(1000000000)

typedef void assoc_start_expand_fn(uint64_t curr_items);

static void ***primary;       /* primary_hashtable, or NULL */
static void **table;          /* what it was when we last looked */
static uint64_t buckets;      /* of table: a power of two */
static void **settled;        /* table, once all items were seen to be in it; or NULL */
static uint64_t sampled;      /* where the next sample begins */
static uint64_t taken;        /* rows since the last sample */
static uint64_t goal;         /* how many buckets there are to be, 0: as many as there are */
static int64_t asked;         /* since when a growth that was asked for has not begun; or 0 */
static int64_t moving;        /* since when items have been moved into a new table; or 0 */
static int64_t seen;          /* when we first saw the table */
static int64_t refused_until; /* no growth is asked for before this time */

void table_bind(uintptr_t address) {
    primary = (void ***)address;
}

bool table_located(void) {
    return primary != NULL;
}

static bool may_grow(void) {
    return primary != NULL && mc_functions.assoc_start_expand != 0;
}

/* The buckets of a table: it is allocated for a power of two of them, and allocators round up by
 * less than that. */
static uint64_t buckets_of(void **of) {
    return UINT64_C(1) << (63 - __builtin_clzll(malloc_usable_size(of) / sizeof *of));
}

/*
 * Notices that the table was replaced.  Its size is looked at, too: between two looks it may
 * have been replaced twice, and the second one may stand where the first one stood.
 */
static void look(int64_t now) {
    if (*primary == table && buckets_of(table) == buckets) {
        return;
    }
    if (table != NULL) {
        moving = now;
    }
    settled = NULL;
    asked = 0;
    refused_until = 0;
    seen = now;
    roll_call_begin();
    table = *primary;
    buckets = buckets_of(table);
    taken = buckets; /* a sample is due */
}

/* The maintenance thread holds its lock from the swap to the last item. */
static bool is_moving(int64_t now) {
    pthread_mutex_t *lock = (pthread_mutex_t *)mc_functions.maintenance_lock;
    if (pthread_mutex_trylock(lock) == 0) {
        pthread_mutex_unlock(lock);
        return false;
    }
    /* A dump of all keys holds it, too, for as long as its reader likes (assoc.c:
     * assoc_get_iterator). */
    return now - moving < END_LIMIT;
}

bool table_settled(void ***array, uint64_t *n) {
    pthread_mutex_t *lock = (pthread_mutex_t *)mc_functions.maintenance_lock;
    look(monotonic());
    /* Who else holds the lock is a dump of all keys, and the table is the same then. */
    if (pthread_mutex_trylock(lock) == 0) {
        pthread_mutex_unlock(lock);
        settled = table;
    }
    *array = table;
    *n = buckets;
    return settled == table;
}

/* Of 1000 buckets so many are empty where there are 1.5 items in a bucket, when memcached lets the
 * table grow, and 2.5: 1/e^1.5 and 1/e^2.5 of them. */
#define EMPTY_OF_FULL 223
#define EMPTY_OF_OVERFULL 82

/* Whether fewer buckets are empty. */
static bool has_fewer(uint64_t empty_of_1000) {
    uint64_t n = buckets < SAMPLE ? buckets : SAMPLE, empty = 0;
    for (uint64_t i = 0; i < n; i++) {
        empty += table[(sampled + i) & (buckets - 1)] == NULL;
    }
    sampled += n;
    return empty * 1000 < n * empty_of_1000;
}

/* Buckets for so many items, at most 1.5 in each. */
static uint64_t buckets_for(uint64_t items) {
    uint64_t n = 1;
    while (n + n / 2 < items) {
        n *= 2;
    }
    return n;
}

/* How many lists of memcached's keys are being asked for (protocol/growth.go). */
static atomic_uint lists;

/*
 * While a list of keys is asked for by protocol no growth is, for it may begin as the list does.
 * One that was asked for just before is seen by whoever asks for the list: it begins within
 * BEGIN_LIMIT, and he looks twice, as far apart.
 */
void backdoor_hold_growth(bool hold) {
    atomic_fetch_add(&lists, hold ? 1 : -1u);
}

/* How many buckets there should be; full says that there are not enough. */
static uint64_t wanted(bool full, struct backdoor_expected expected) {
    uint64_t room =
        mc_functions.maxbytes != 0 ? *(const volatile size_t *)mc_functions.maxbytes : 0;
    uint64_t most = buckets_for(room / (ITEM_BYTES + expected.row_bytes)), n = 0;
    if (expected.rows != 0) {
        n = buckets_for(expected.rows);
    } else if (full) {
        n = UNKNOWN_BUCKETS;
        while (n > room / UNKNOWN_SHARE / sizeof *table) {
            n /= 2;
        }
    }
    if (n > most) {
        n = most;
    }
    return full && n < 2 * buckets ? 2 * buckets : n;
}

/*
 * Whether no worker can still be held from when the table was replaced.  memcached
 * pauses its workers by a lock on which they pile up, and then waits until each
 * of them has come to it (thread.c: pause_threads).  One that has not run since the
 * pause before is still waiting for that lock, never comes, and memcached stands still
 * for ever.  By itself it asks once a second, in which every worker runs.
 *
 * So there must be time between a growth that we ask for and the next, whoever asks:
 *
 *   - We ask when every worker has come to our event since the last one.
 *   - memcached's clock asks when there are more than 1.5 items in a bucket.  After a growth that
 *     we ask for there are fewer: we do not ask where it takes more than one (EMPTY_OF_OVERFULL),
 *     which is the clock's affair, and store nothing until every worker has come.
 *   - Where the clock asks at the same time as we do there is one growth: it finds
 *     maintenance_lock taken, or wakes a thread that is awake (assoc.c: assoc_start_expand).
 */
static bool all_released(int64_t now) {
    switch (roll_call_state()) {
    case ROLL_CALL_COMPLETE:
        return true;
    case ROLL_CALL_AWAITED:
        return false;
    case ROLL_CALL_UNKNOWN:
        break;
    }
    return now - seen >= TICK;
}

/*
 * Whether rows should be stored now; if not, the table grows.  Where growth cannot
 * be asked for, or memcached does not follow, they should.  It is called at the
 * beginning of each slice: what is fetched ahead is of the table that it saw.
 */
bool table_has_room(struct backdoor_expected expected) {
    if (primary == NULL) {
        return true;
    }
    int64_t now = monotonic();
    look(now);
    if (!may_grow() || now < refused_until) {
        return true;
    }
    if (asked != 0) {
        if (now - asked < BEGIN_LIMIT) {
            return false;
        }
        asked = 0;
        goal = 0;
        refused_until = now + REFUSED;
        return true;
    }
    if (moving != 0) {
        if (is_moving(now) ||
            (roll_call_state() == ROLL_CALL_AWAITED && now - moving < END_LIMIT)) {
            return false;
        }
        moving = 0;
    }
    if (goal <= buckets) {
        bool full = false;
        if (taken >= buckets / 8) {
            taken = 0;
            full = has_fewer(EMPTY_OF_FULL);
        }
        goal = wanted(full, expected);
        if (goal <= buckets) {
            return true;
        }
    }
    if (!all_released(now) || atomic_load(&lists) > 0) {
        return true;
    }
    if (has_fewer(EMPTY_OF_OVERFULL)) {
        refused_until = now + REFUSED;
        return true;
    }
    /* More items than any table is large enough for: what matters is that it is more than 1.5 for
     * each bucket. */
    ((assoc_start_expand_fn *)mc_functions.assoc_start_expand)(UINT64_MAX);
    asked = now;
    return false;
}

/* So many rows were given to memcached since the last call. */
void table_took(uint32_t rows) {
    taken += rows;
}

/* The key's hash, as store_item will compute it; for any worker. */
uint32_t table_hash(const char *key, size_t nkey) {
    return (*(hash_fn **)mc_functions.hash)(key, nkey);
}

void table_fetch_bucket(uint32_t hv) {
    __builtin_prefetch(&table[hv & (buckets - 1)]);
}

/*
 * Fetches the bucket's first item.  It is not looked at: it may be another one's already.
 * Of an empty bucket the bucket is fetched once more: for an address that is not
 * mapped the processor would look through the page tables each time, in vain.
 */
void table_fetch_item(uint32_t hv) {
    void **bucket = &table[hv & (buckets - 1)];
    const char *it = *bucket != NULL ? *bucket : bucket;
    __builtin_prefetch(it);
    __builtin_prefetch(it + 64);
}
