/*
 * A walk through all items, or through those of listed keys, on one of memcached's workers.
 *
 * The keys in a bucket are copied while its lock is held.  Then each item is read with memcached's
 * own item_get, which knows whether it has expired or was flushed, and keeps it while its bytes are
 * copied.  Small items that are known to be live are copied under the lock.  The items of listed
 * keys are all read with item_get.  Between two slices no lock is held, and between two submissions
 * no item.
 *
 * The table may grow meanwhile: a bucket's items are then in the buckets of the new table whose
 * numbers have the same lower bits.  So the walk counts the buckets of the table at the beginning,
 * and each stands for all of those: an item that is there from the beginning to the end is found
 * once.
 */
#define _GNU_SOURCE
#include "abi.h"
#include "chains.h"
#include "clock.h"
#include "entry.h"
#include "locks.h"
#include "table.h"

#include <limits.h>
#include <pthread.h>
#include <string.h>

/* How many buckets are walked through at most in a slice, after which the submission is finished,
 * so that the submitter can stop the walk; and between two checks whether the slice is over: most
 * of a large table (-o hashpower) may be empty. */
#define BUCKETS_PER_SLICE (1u << 20)
#define BUCKETS_PER_CHECK (1u << 12)

/* The largest nbytes that are copied while a lock is held: that takes a microsecond. */
#define SMALL 4096

bool backdoor_can_walk(void) {
    return locks_located() && table_located() && mc_functions.maintenance_lock != 0;
}

static bool has_prefix(const struct backdoor_walk *walk, item *it) {
    return it->nkey >= walk->nprefix && memcmp(mc_key(it), walk->prefix, walk->nprefix) == 0;
}

/*
 * A flush invalidates items by their time, and by their CAS unique (items.c: item_is_flushed): the
 * older ones and the lower ones.  So an item that is neither older nor lower than one that item_get
 * has found in this slice is as live.
 */
static bool is_live(const struct backdoor_walk *walk, const item *it) {
    uint64_t cas = mc_cas(it);
    return it->time >= walk->live_time && (cas == 0 || cas >= walk->live_cas) &&
           (it->exptime == 0 || it->exptime > walk->now + 1);
}

static void note_live(struct backdoor_walk *walk, const item *it) {
    uint64_t cas = mc_cas(it);
    if (it->time < walk->live_time) {
        walk->live_time = it->time;
    }
    if (cas != 0 && cas < walk->live_cas) {
        walk->live_cas = cas;
    }
}

/* Copies an item whose lock is held, if it is small and known to be live. */
static bool copy_small(struct backdoor_walk *walk, item *it) {
    uint32_t size = entry_size(it, walk->values);
    if ((mc_flags(it) & (ITEM_CHUNKED | ITEM_HDR)) != 0 || it->nbytes > SMALL ||
        size > walk->room - walk->filled || !is_live(walk, it)) {
        return false;
    }
    struct backdoor_item *to = entry_put(walk, it, size);
    if (walk->values) {
        memcpy((char *)(to + 1) + to->nkey, mc_data(it), to->nvalue);
    }
    walk->filled += size;
    return true;
}

/*
 * Copies the keys of one bucket of the table at the beginning.  Returns false if there is no room
 * for them.  The crawler's pseudo items have no key.
 */
static bool collect_bucket(struct backdoor_walk *walk, void **table, uint64_t buckets) {
    uint32_t from = walk->keys_filled, filled = walk->filled, needed = 0;
    pthread_mutex_t *lock = item_lock((uint32_t)walk->bucket);
    pthread_mutex_lock(lock);
    for (uint64_t b = walk->bucket; b < buckets; b += walk->buckets) {
        for (item *it = table[b]; it != NULL; it = it->h_next) {
            if (it->nkey == 0 || !has_prefix(walk, it) || copy_small(walk, it)) {
                continue;
            }
            uint32_t size = 1u + it->nkey;
            if (walk->keys_filled + size <= walk->keys_room) {
                walk->keys[walk->keys_filled] = (char)it->nkey;
                memcpy(walk->keys + walk->keys_filled + 1, mc_key(it), it->nkey);
                walk->keys_filled += size;
            }
            needed += size;
        }
    }
    pthread_mutex_unlock(lock);
    if (walk->keys_filled - from == needed) {
        return true;
    }
    walk->keys_filled = from; /* no part of a bucket */
    walk->filled = filled;
    walk->keys_needed = needed;
    return false;
}

/* Finds the next CHAINS buckets that have items.  *end is the one behind the last that was seen. */
static unsigned next_buckets(const struct backdoor_walk *walk, void **table, uint64_t buckets,
                             uint64_t *found, uint64_t *end) {
    unsigned n = 0;
    uint64_t bucket = walk->bucket, last = bucket + BUCKETS_PER_CHECK;
    for (; bucket < walk->buckets && bucket < last && n < CHAINS; bucket++) {
        bool any = false;
        for (uint64_t b = bucket; b < buckets; b += walk->buckets) {
            any |= table[b] != NULL;
        }
        if (any) {
            found[n++] = bucket;
        }
    }
    *end = bucket;
    return n;
}

/* Collects the keys of the next buckets, as long as there is room.  Returns false if there is none
 * for those of one bucket. */
static bool collect_buckets(struct backdoor_walk *walk, void **table, uint64_t buckets) {
    uint64_t found[CHAINS] = {0}, end;
    unsigned n = next_buckets(walk, table, buckets, found, &end);
    chains_fetch(table, found, n);
    for (unsigned i = 0; i < n; i++) {
        walk->bucket = found[i];
        if (!collect_bucket(walk, table, buckets)) {
            return walk->keys_filled != 0;
        }
    }
    walk->bucket = end;
    return true;
}

/* Gets the next key's item.  Returns false if there is no room for it. */
static bool begin_item(struct backdoor_walk *walk, struct backdoor_worker *worker) {
    const char *key = walk->keys + walk->keys_done;
    uint8_t nkey = (uint8_t)*key++;
    item *it = mc_item_get(key, nkey, worker);
    if (it == NULL) {
        if (walk->listed && !entry_put_gone(walk, key, nkey)) {
            return false;
        }
        walk->keys_done += 1u + nkey;
        return true;
    }
    note_live(walk, it);
    bool external = (mc_flags(it) & ITEM_HDR) != 0;
    uint32_t size = entry_size(it, walk->values && !external);
    if (size > walk->room - walk->filled) {
        walk->needed = size;
        mc_item_remove(it);
        return false;
    }
    entry_put(walk, it, size);
    walk->it = it;
    walk->copied = 0;
    walk->chunk = (mc_flags(it) & ITEM_CHUNKED) && !external ? (item_chunk *)mc_data(it) : NULL;
    walk->offset = 0;
    return true;
}

/* Copies the item's value.  Returns false if the slice ends before that. */
static bool copy_value(struct backdoor_walk *walk, int64_t until) {
    struct backdoor_item *to = (struct backdoor_item *)(walk->data + walk->filled);
    char *value = (char *)(to + 1) + to->nkey;
    uint32_t nvalue = walk->values && !to->external ? to->nvalue : 0;
    while (walk->copied < nvalue) {
        uint32_t n = nvalue - walk->copied;
        if (n > BYTES_PER_CHECK) {
            n = BYTES_PER_CHECK;
        }
        const char *from = mc_data(walk->it) + walk->copied;
        if (walk->chunk != NULL) {
            uint32_t used = (uint32_t)walk->chunk->used;
            if (walk->offset == used) {
                if (walk->chunk->next ==
                    NULL) { /* shorter than it says: it is fetched by protocol */
                    to->external = true;
                    break;
                }
                walk->chunk = walk->chunk->next;
                walk->offset = 0;
                continue;
            }
            if (n > used - walk->offset) {
                n = used - walk->offset;
            }
            from = mc_chunk_data(walk->chunk) + walk->offset;
            walk->offset += n;
        }
        memcpy(value + walk->copied, from, n);
        walk->copied += n;
        if (walk->copied < nvalue && monotonic() >= until) {
            return false;
        }
    }
    walk->filled += to->size;
    walk->keys_done += 1u + to->nkey;
    mc_item_remove(walk->it);
    walk->it = NULL;
    return true;
}

/* Copies the items of the keys that were collected. */
static enum backdoor_progress copy_items(struct backdoor_walk *walk, struct backdoor_worker *worker,
                                         int64_t until) {
    for (unsigned n = 1; walk->keys_done < walk->keys_filled; n++) {
        if (walk->it == NULL && !begin_item(walk, worker)) {
            return BACKDOOR_FINISHED;
        }
        bool large = walk->it != NULL && walk->it->nbytes > LARGE;
        if (walk->it != NULL && !copy_value(walk, until)) {
            return BACKDOOR_MORE;
        }
        if ((large || n % ITEMS_PER_CHECK == 0) && monotonic() >= until) {
            return BACKDOOR_MORE;
        }
    }
    walk->keys_done = walk->keys_filled = 0;
    return BACKDOOR_FINISHED;
}

/* Walks from where the last slice ended, until the slice is over or a buffer has no room. */
static enum backdoor_progress walk_buckets(struct backdoor_walk *walk,
                                           struct backdoor_worker *worker, int64_t until) {
    void **table;
    uint64_t buckets;
    if (!table_get(&table, &buckets)) {
        walk->growing = true; /* finished: loads must not wait behind a walk */
        return BACKDOOR_FINISHED;
    }
    if (walk->buckets == 0) {
        walk->buckets = buckets;
    }
    walk->now = clock_now();
    walk->live_time = UINT_MAX;
    walk->live_cas = UINT64_MAX;
    for (uint64_t first = walk->bucket;;) {
        enum backdoor_progress progress = copy_items(walk, worker, until);
        if (progress == BACKDOOR_MORE || walk->keys_filled != 0) {
            return progress;
        }
        if (walk->bucket == walk->buckets) {
            walk->end = true;
            return BACKDOOR_FINISHED;
        }
        if (walk->bucket - first >= BUCKETS_PER_SLICE) {
            return BACKDOOR_FINISHED;
        }
        if (!collect_buckets(walk, table, buckets)) {
            return BACKDOOR_FINISHED;
        }
        if (monotonic() >= until) {
            return BACKDOOR_MORE;
        }
    }
}

/* Copies the items of the keys that are listed. */
static enum backdoor_progress walk_listed(struct backdoor_walk *walk,
                                          struct backdoor_worker *worker, int64_t until) {
    walk->now = clock_now();
    enum backdoor_progress progress = copy_items(walk, worker, until);
    walk->end = walk->keys_filled == 0;
    return progress;
}

/*
 * Invariant: a finished job holds no item, so that the submitter may replace the buffer.  An item
 * that is partly copied is copied to its end first, even while the table grows: the reference keeps
 * it, and the table is not needed.
 */
static enum backdoor_progress run_walk(struct backdoor_job *job, struct backdoor_worker *worker,
                                       int64_t until) {
    struct backdoor_walk *walk = (struct backdoor_walk *)job;
    if (worker == NULL) {
        if (walk->it != NULL) {
            mc_item_remove(walk->it);
            walk->it = NULL;
        }
        return BACKDOOR_FINISHED;
    }
    if (walk->it != NULL && !copy_value(walk, until)) {
        return BACKDOOR_MORE;
    }
    enum backdoor_progress progress =
        walk->listed ? walk_listed(walk, worker, until) : walk_buckets(walk, worker, until);
    INVARIANT(progress == BACKDOOR_MORE || walk->it == NULL);
    return progress;
}

void backdoor_submit_listed(struct backdoor_walk *walk) {
    INVARIANT(walk->listed);
    walk->end = false;
    backdoor_submit_walk(walk);
}

void backdoor_submit_walk(struct backdoor_walk *walk) {
    INVARIANT(walk->it == NULL);
    walk->job.run = run_walk;
    walk->growing = false;
    walk->filled = walk->needed = walk->keys_needed = 0;
    backdoor_submit(&walk->job);
}
