/*
 * Storing a batch's rows with memcached's own functions, on one of its workers.
 *
 * The order of calls is that of memcached's text protocol: item_alloc
 * (proto_text.c: process_update_command), the data (memcached.c:
 * read_into_chunked_item), store_item, item_remove (complete_nread_ascii).
 */
#include "clock.h"
#include "delete.h"
#include "locks.h"
#include "make.h"
#include "share.h"
#include "table.h"

#include <limits.h>
#include <string.h>

/* How many rows a batch must have left for the helper to be woken. */
#define SHARED_ROWS 256

/*
 * For how many rows at once is prefetched what store_item will read.  For each address the
 * processor walks the page tables, and it does several walks at once only for instructions that are
 * close together.
 */
#define PREFETCHED 16

/* How many rows ahead of the current one items are made, even without a helper. */
#define MAKE_AHEAD (4 * PREFETCHED)

static uint64_t item_size_max; /* bytes, header and key included */

void backdoor_bind(const struct backdoor_functions *functions,
                   const struct backdoor_proof_report *report) {
    mc_functions = *functions;
    memcpy(mc_suffix, report->suffix, sizeof mc_suffix);
    item_size_max = report->item_size_max;
    clock_bind(report->clock);
    table_bind(report->table);
    locks_bind(report->locks, report->lock_mask);
}

/* The old value is wrong now, which is worse than none: proto_text.c: process_update_command does
 * the same. */
static void remove_old(struct backdoor_batch *batch, const struct backdoor_row *row,
                       struct backdoor_worker *worker) {
    if (row->comm != NREAD_SET && row->comm != BACKDOOR_EXPIRE) {
        return;
    }
    const char *key = batch->data + row->key;
    item *old = mc_item_get(key, row->nkey, worker);
    if (old == NULL) {
        return;
    }
    delete_item(old, NREAD_SET, worker);
    mc_item_remove(old);
}

static void finish_row(struct backdoor_batch *batch, struct backdoor_row *row,
                       enum backdoor_outcome outcome) {
    row->outcome = outcome;
    batch->counts[outcome]++;
    batch->it = NULL;
    __atomic_store_n(&batch->next_row, batch->next_row + 1, __ATOMIC_RELEASE);
}

/* Allocates the current row's item; without one, the row is finished. */
static void alloc_item(struct backdoor_batch *batch, struct backdoor_row *row,
                       struct backdoor_worker *worker) {
    item *it = NULL;
    bool fits = false;
    if (row->nvalue <= INT_MAX - 2) {
        int nbytes = (int)row->nvalue + 2;
        it = make_item(batch, row);
        fits = it != NULL || mc_item_size(row->nkey, row->flags, nbytes) <= item_size_max;
    }
    __atomic_store_n(&batch->claimed, batch->next_row + 1, __ATOMIC_SEQ_CST);
    if (it == NULL) {
        remove_old(batch, row, worker);
        finish_row(batch, row,
                   row->comm == BACKDOOR_EXPIRE ? BACKDOOR_EXPIRED
                   : fits                       ? BACKDOOR_NO_MEMORY
                                                : BACKDOOR_TOO_LARGE);
        return;
    }
    batch->it = it;
    batch->filled = 0;
    batch->chunk = (mc_flags(it) & ITEM_CHUNKED) ? (item_chunk *)mc_data(it) : NULL;
}

/* Ends the sharing.  Returns false while the helper makes items. */
static bool unshare(struct backdoor_batch *batch) {
    if (batch->shared && !share_end(&batch->job)) {
        return false;
    }
    batch->shared = false;
    return true;
}

/* Sets batch->it to the current row's item, or finishes the row.  Returns false while the helper
 * makes the item. */
static bool take_item(struct backdoor_batch *batch, struct backdoor_row *row,
                      struct backdoor_worker *worker) {
    if (!batch->memory_short &&
        __atomic_load_n(&batch->claimed, __ATOMIC_SEQ_CST) < batch->next_row + MAKE_AHEAD) {
        make_group(batch);
    }
    if (is_made(row)) {
        if (row->it != NULL) {
            batch->it = row->it;
            batch->filled = row->nvalue + 2;
            row->it = NULL;
            return true;
        }
        /* There was no memory, perhaps because of the items of later rows, which cannot be evicted.
         */
        if (!unshare(batch)) {
            return false;
        }
        unmake(batch, batch->next_row);
        batch->memory_short = true;
    } else if (__atomic_load_n(&batch->claimed, __ATOMIC_SEQ_CST) > batch->next_row) {
        return false;
    }
    alloc_item(batch, row, worker);
    return true;
}

enum fill { FILLED, FILL_LATER, FILL_FAILED };

/* Fills the item, a large one chunk by chunk (memcached.c: read_into_chunked_item). */
static enum fill fill(struct backdoor_batch *batch, const struct backdoor_row *row, int64_t until) {
    uint32_t nbytes = row->nvalue + 2;
    while (batch->filled < nbytes) {
        if (batch->filled != 0 && monotonic() >= until) {
            return FILL_LATER;
        }
        uint32_t n = nbytes - batch->filled;
        if (n > BYTES_PER_CHECK) {
            n = BYTES_PER_CHECK;
        }
        item_chunk *ch = batch->chunk;
        char *to;
        if (ch == NULL) {
            to = mc_data(batch->it) + batch->filled;
        } else {
            if (ch->used == ch->size) {
                ch = mc_next_chunk(ch, nbytes - batch->filled);
                if (ch == NULL) {
                    return FILL_FAILED;
                }
                batch->chunk = ch;
            }
            if (n > (uint32_t)(ch->size - ch->used)) {
                n = (uint32_t)(ch->size - ch->used);
            }
            to = mc_chunk_data(ch) + ch->used;
            ch->used += (int)n;
        }
        copy_data(batch, row, to, batch->filled, n);
        batch->filled += n;
    }
    return FILLED;
}

/* The CAS unique that the row asks for, or 0. */
static uint64_t wanted_cas(const struct backdoor_batch *batch, const struct backdoor_row *row) {
    uint64_t cas = 0;
    if (row->cas != 0) {
        memcpy(&cas, batch->data + row->cas, sizeof cas);
    }
    return cas;
}

static enum backdoor_outcome outcome_of(enum store_item_type stored, int comm) {
    if (stored == STORED) {
        return BACKDOOR_STORED;
    }
    return comm == NREAD_REPLACE ? BACKDOOR_MISSING : BACKDOOR_EXISTS;
}

/*
 * Prefetches, for later rows, what store_item will read: the first items of the buckets that were
 * prefetched the last time, and the next buckets.
 */
static void prefetch_rows(struct backdoor_batch *batch) {
    const struct backdoor_row *rows = batch->rows;
    uint32_t row = batch->next_row;
    if (row + PREFETCHED < batch->fetched_items) {
        return;
    }
    if (batch->fetched_items < row) {
        batch->fetched_items = row;
    }
    for (; batch->fetched_items < batch->fetched_buckets; batch->fetched_items++) {
        table_fetch_item(rows[batch->fetched_items].hv);
    }
    if (batch->fetched_buckets < row) {
        batch->fetched_buckets = row;
    }
    uint32_t end = batch->fetched_buckets + PREFETCHED;
    for (; batch->fetched_buckets < end && batch->fetched_buckets < batch->nrows;
         batch->fetched_buckets++) {
        if (!is_made(&rows[batch->fetched_buckets])) {
            break;
        }
        table_fetch_bucket(rows[batch->fetched_buckets].hv);
    }
}

/*
 * Gives back all items that were made ahead, so that none is held while the batch waits: memcached
 * could neither evict it nor move its page (slabs.c: slab_rebalance_move).
 */
static enum backdoor_progress wait_for_growth(struct backdoor_batch *batch) {
    if (!unshare(batch)) {
        return BACKDOOR_MORE; /* the helper is making some */
    }
    unmake(batch, batch->next_row);
    return BACKDOOR_LATER;
}

/* Fills and stores the current row's item.  Returns false if the slice ends before that. */
static bool store_row(struct backdoor_batch *batch, struct backdoor_row *row,
                      struct backdoor_worker *worker, int64_t until, bool *clock_seen) {
    item *it = batch->it;
    switch (fill(batch, row, until)) {
    case FILL_LATER:
        return false;
    case FILL_FAILED:
        remove_old(batch, row, worker);
        finish_row(batch, row, BACKDOOR_NO_MEMORY);
        break;
    case FILLED: {
        enum store_item_type stored = mc_store_item(it, row->comm, worker, wanted_cas(batch, row));
        if (stored == STORED && !*clock_seen) {
            clock_observe(it);
            *clock_seen = true;
        }
        finish_row(batch, row, outcome_of(stored, row->comm));
    }
    }
    mc_item_remove(it);
    return true;
}

/* No worker will store the rows: gives their items back, whose memory would be lost to a warm
 * restart
 * (-e). */
static void abandon(struct backdoor_batch *batch) {
    if (batch->it != NULL) {
        mc_item_remove(batch->it);
        batch->it = NULL;
    }
    unshare(batch);
    unmake(batch, batch->next_row);
}

static enum backdoor_progress store_rows(struct backdoor_batch *batch,
                                         struct backdoor_worker *worker, int64_t until) {
    if (worker == NULL) {
        abandon(batch);
        return BACKDOOR_FINISHED;
    }
    /* An item that was begun is stored first, not held while the table grows. */
    bool ready = table_ready_or_grow(batch->expected);
    if (ready && !batch->shared && !batch->memory_short &&
        batch->nrows - batch->next_row >= SHARED_ROWS) {
        batch->shared = share_begin(&batch->job, worker);
    }
    uint32_t first = batch->next_row;
    bool prefetch = table_located();
    bool clock_seen = false;
    while (batch->next_row < batch->nrows) {
        struct backdoor_row *row = &batch->rows[batch->next_row];
        if (batch->it == NULL && !ready) {
            table_count_rows(batch->next_row - first);
            return wait_for_growth(batch);
        }
        if (batch->it == NULL) {
            if (!take_item(batch, row, worker)) {
                break;
            }
            if (prefetch) {
                prefetch_rows(batch);
            }
        }
        if (batch->it != NULL && !store_row(batch, row, worker, until, &clock_seen)) {
            return BACKDOOR_MORE;
        }
        bool large = row->nvalue > LARGE;
        if (large || batch->next_row % ITEMS_PER_CHECK == 0) {
            if (batch->shared && make_needs_help(batch)) {
                share_wake();
            }
            if (monotonic() >= until) {
                break;
            }
        }
    }
    table_count_rows(batch->next_row - first);
    return batch->next_row == batch->nrows && unshare(batch) ? BACKDOOR_FINISHED : BACKDOOR_MORE;
}

static bool holds_items(const struct backdoor_batch *batch) {
    bool holds = batch->it != NULL || batch->shared;
    for (uint32_t i = batch->next_row; i < batch->claimed; i++) {
        holds |= batch->rows[i].it != NULL;
    }
    return holds;
}

/* Invariant: while a batch waits, and when it is finished, it holds no item. */
static enum backdoor_progress run_batch(struct backdoor_job *job, struct backdoor_worker *worker,
                                        int64_t until) {
    struct backdoor_batch *batch = (struct backdoor_batch *)job;
    enum backdoor_progress progress = store_rows(batch, worker, until);
    INVARIANT(progress == BACKDOOR_MORE || worker == NULL || !holds_items(batch));
    return progress;
}

static enum backdoor_progress run_lookup(struct backdoor_job *job, struct backdoor_worker *worker,
                                         int64_t until) {
    struct backdoor_batch *batch = (struct backdoor_batch *)job;
    while (worker != NULL && batch->next_row < batch->nrows) {
        struct backdoor_row *row = &batch->rows[batch->next_row];
        item *it = mc_item_get(batch->data + row->key, row->nkey, worker);
        if (it != NULL) {
            mc_item_remove(it);
        }
        finish_row(batch, row, it != NULL ? BACKDOOR_STORED : BACKDOOR_MISSING);
        if (batch->next_row % ITEMS_PER_CHECK == 0 && monotonic() >= until) {
            break;
        }
    }
    return worker == NULL || batch->next_row == batch->nrows ? BACKDOOR_FINISHED : BACKDOOR_MORE;
}

void backdoor_submit_lookup(struct backdoor_batch *batch) {
    batch->job.run = run_lookup;
    batch->next_row = 0;
    backdoor_submit(&batch->job);
}

void backdoor_submit_batch(struct backdoor_batch *batch) {
    batch->job.run = run_batch;
    batch->job.help = make_help;
    batch->next_row = batch->claimed = batch->fetched_buckets = batch->fetched_items = 0;
    batch->shared = batch->memory_short = false;
    batch->it = NULL;
    backdoor_submit(&batch->job);
}

size_t backdoor_item_size(size_t nkey, uint32_t flags, size_t nvalue) {
    return mc_item_size(nkey, flags, (int)nvalue + 2);
}
