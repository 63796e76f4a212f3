/*
 * The hash table: prefetching what store_item will read of it, and its growth.
 *
 * memcached checks once a second whether the table has become too small (memcached.c:
 * clock_handler).  A load is faster: its rows end up in long chains.  So the library requests
 * growth itself, with memcached's own function and at its own threshold, and stores nothing while
 * the table grows: the thread that moves the items sleeps for 10 ms whenever it finds an item's
 * lock taken (assoc.c: assoc_maintenance_thread).
 *
 * Growing costs a cache miss for each item in the table, so the best moment is before the load's
 * first row.  A file's number of rows is known, and so is how many items a full memcached holds:
 * the table grows at once to the size that memcached would give it in the end, never beyond.
 *
 * primary_hashtable is replaced only while all workers are paused, so a worker may use what it
 * reads there until it returns to its loop.
 */
#include "table.h"

#include "abi.h"
#include "roll_call.h"

#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>

/* Buckets that are counted to learn how full the table is.  Hashes are even, so neighbours will do.
 */
#define SAMPLE 8192

/*
 * If the number of rows is unknown, the table doubles, or grows at once to this size (16 MB), as
 * long as that is not more than 1/64 of memcached's memory.
 */
#define UNKNOWN_BUCKETS (UINT64_C(1) << 21)
#define UNKNOWN_SHARE 64

/* Limits in nanoseconds: for a requested growth to begin, and for a growth to end. */
#define BEGIN_LIMIT INT64_C(100000000)
#define END_LIMIT INT64_C(10000000000)
/* The pause in nanoseconds after a request without growth (memcached has no memory for it), or if
 * memcached's clock will request growth. */
#define REQUEST_PAUSE INT64_C(1000000000)
/* How often memcached itself checks, in nanoseconds (memcached.c: clock_handler). */
#define TICK INT64_C(1000000000)

typedef void assoc_start_expand_fn(uint64_t curr_items);

/* Times are CLOCK_MONOTONIC in nanoseconds.  All but primary is for the worker that has the turn.
 */
static struct {
    void ***primary;  /* the address of primary_hashtable, or NULL */
    void **array;     /* its value when it was last observed */
    uint64_t buckets; /* of array: a power of two */
    int64_t observed; /* since when array is known */
    bool settled;     /* all items were seen to be in array */

    enum {
        STEADY,
        REQUESTED, /* memcached was asked for growth, which has not begun */
        MOVING,    /* items are being moved into array */
    } growth;
    int64_t since;       /* growth is not STEADY: when that began */
    int64_t pause_until; /* no growth is requested before */

    uint64_t wanted;            /* buckets; 0: no more than there are */
    uint64_t sample_start;      /* the first bucket of the next sample */
    uint64_t rows_since_sample; /* that were stored */
} table;

/* How many lists of keys memcached is being asked for (protocol/growth.go). */
static atomic_uint lists;

void table_bind(uintptr_t primary) {
    table.primary = (void ***)primary;
}

bool table_located(void) {
    return table.primary != NULL;
}

/* The buckets of a table: it is allocated for a power of two of them, and allocators round up by
 * less than that. */
static uint64_t buckets_of(void **array) {
    return UINT64_C(1) << (63 - __builtin_clzll(malloc_usable_size(array) / sizeof *array));
}

/*
 * Notices that the table was replaced.  The size is compared, too: the table may have been replaced
 * twice since it was last observed, and the second one may be at the address of the first.
 */
static void observe(int64_t now) {
    void **array = *table.primary;
    if (array == table.array && buckets_of(array) == table.buckets) {
        return;
    }
    if (table.array != NULL) {
        table.growth = MOVING;
        table.since = now;
    }
    table.settled = false;
    table.pause_until = 0;
    table.observed = now;
    roll_call_begin();
    table.array = array;
    table.buckets = buckets_of(table.array);
    table.rows_since_sample = table.buckets; /* a sample is due */
}

/* The maintenance thread holds its lock from the replacement until the last item is moved. */
static bool maintenance_lock_is_free(void) {
    pthread_mutex_t *lock = (pthread_mutex_t *)mc_functions.maintenance_lock;
    if (pthread_mutex_trylock(lock) != 0) {
        return false;
    }
    pthread_mutex_unlock(lock);
    return true;
}

bool table_get(void ***array, uint64_t *buckets) {
    observe(monotonic());
    /* Once settled, it stays so: a dump of all keys takes the lock, too, but the table is the same
     * then. */
    if (maintenance_lock_is_free()) {
        table.settled = true;
    }
    *array = table.array;
    *buckets = table.buckets;
    return table.settled;
}

/* Of 1000 buckets, how many are empty with 1.5 items for each bucket, when memcached lets the table
 * grow, and with 2.5: 1/e^1.5 and 1/e^2.5 of them. */
#define EMPTY_IF_FULL 223
#define EMPTY_IF_OVERFULL 82

/* Samples the next buckets.  Returns whether fewer of 1000 are empty. */
static bool sample_fewer_empty(uint64_t empty_of_1000) {
    uint64_t n = table.buckets < SAMPLE ? table.buckets : SAMPLE, empty = 0;
    for (uint64_t i = 0; i < n; i++) {
        empty += table.array[(table.sample_start + i) & (table.buckets - 1)] == NULL;
    }
    table.sample_start += n;
    return empty * 1000 < n * empty_of_1000;
}

/* Buckets for the items, at most 1.5 in each. */
static uint64_t buckets_for(uint64_t items) {
    uint64_t n = 1;
    while (n + n / 2 < items) {
        n *= 2;
    }
    return n;
}

/*
 * A list of keys by protocol must not begin while a growth does.  So none is requested while there
 * is a hold.  The holder sees a growth that was requested just before: it begins within
 * BEGIN_LIMIT, and the holder looks twice, that far apart.
 */
void backdoor_hold_growth(bool hold) {
    atomic_fetch_add(&lists, hold ? 1 : -1u);
}

/* How many buckets there should be; full: there are not enough. */
static uint64_t wanted_buckets(bool full, struct backdoor_expected expected) {
    uint64_t room =
        mc_functions.maxbytes != 0 ? *(const volatile size_t *)mc_functions.maxbytes : 0;
    uint64_t most = buckets_for(room / (ITEM_OVERHEAD + expected.row_bytes)), n = 0;
    if (expected.rows != 0) {
        n = buckets_for(expected.rows);
    } else if (full) {
        n = UNKNOWN_BUCKETS;
        while (n > room / UNKNOWN_SHARE / sizeof *table.array) {
            n /= 2;
        }
    }
    if (n > most) {
        n = most;
    }
    return full && n < 2 * table.buckets ? 2 * table.buckets : n;
}

/* Sets table.wanted anew, unless a larger table is wanted already; from time to time with a sample.
 */
static void update_wanted(struct backdoor_expected expected) {
    bool full = false;
    if (table.wanted > table.buckets) {
        return;
    }
    if (table.rows_since_sample >= table.buckets / 8) {
        table.rows_since_sample = 0;
        full = sample_fewer_empty(EMPTY_IF_FULL);
    }
    table.wanted = wanted_buckets(full, expected);
}

/*
 * Can no worker still be held from when the table was replaced?  memcached pauses its workers by a
 * lock on which they pile up, and then waits until each of them has come to it (thread.c:
 * pause_threads).  One that has not run since the pause before still waits for that lock, never
 * comes, and memcached stands still for ever.  By itself it requests growth once a second, in which
 * every worker runs.
 *
 * So there must be time between a growth that is requested here and the next one of any origin:
 *
 *   - A growth is requested when every worker has been in its loop since the last one.
 *   - memcached's clock requests one when there are more than 1.5 items in a bucket.  After a
 *     growth that is requested here there are fewer: if it would take more than one
 *     (EMPTY_IF_OVERFULL), it is left to the clock.  And nothing is stored until every worker has
 *     been in its loop.
 *   - If the clock requests growth at the same time there is one growth: assoc_start_expand finds
 *     maintenance_lock taken, or wakes a thread that is awake (assoc.c).
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
    return now - table.observed >= TICK;
}

/* A dump of all keys holds the lock, too, for as long as its reader likes (assoc.c:
 * assoc_get_iterator). */
static bool still_moving(int64_t now) {
    return (!maintenance_lock_is_free() || roll_call_state() == ROLL_CALL_AWAITED) &&
           now - table.since < END_LIMIT;
}

/* Items beyond any table's size: what matters is that it is more than 1.5 for each bucket. */
static void request_growth(int64_t now) {
    ((assoc_start_expand_fn *)mc_functions.assoc_start_expand)(UINT64_MAX);
    table.growth = REQUESTED;
    table.since = now;
}

bool table_ready_or_grow(struct backdoor_expected expected) {
    if (table.primary == NULL) {
        return true;
    }
    int64_t now = monotonic();
    observe(now);
    if (mc_functions.assoc_start_expand == 0 || now < table.pause_until) {
        return true;
    }
    switch (table.growth) {
    case REQUESTED:
        if (now - table.since < BEGIN_LIMIT) {
            return false;
        }
        table.growth = STEADY;
        table.wanted = 0;
        table.pause_until = now + REQUEST_PAUSE;
        return true;
    case MOVING:
        if (still_moving(now)) {
            return false;
        }
        table.growth = STEADY;
        break;
    case STEADY:
        break;
    }
    update_wanted(expected);
    if (table.wanted <= table.buckets || !all_released(now) || atomic_load(&lists) > 0) {
        return true;
    }
    if (sample_fewer_empty(EMPTY_IF_OVERFULL)) {
        table.pause_until = now + REQUEST_PAUSE;
        return true;
    }
    request_growth(now);
    return false;
}

void table_count_rows(uint32_t rows) {
    table.rows_since_sample += rows;
}

void table_fetch_bucket(uint32_t hv) {
    __builtin_prefetch(&table.array[hv & (table.buckets - 1)]);
}

/*
 * The item is not read: it may be another one by now.  If the bucket is empty it is fetched once
 * more: for an address that is not mapped the processor would walk the page tables each time, in
 * vain.
 */
void table_fetch_item(uint32_t hv) {
    void **bucket = &table.array[hv & (table.buckets - 1)];
    const char *it = *bucket != NULL ? *bucket : bucket;
    __builtin_prefetch(it);
    __builtin_prefetch(it + 64);
}
