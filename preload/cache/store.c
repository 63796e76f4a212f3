/*
 * Storing a batch's rows with memcached's own functions, on one of its workers.
 *
 * The order of calls is that of memcached's text protocol: item_alloc
 * (proto_text.c: process_update_command), the data (memcached.c:
 * read_into_chunked_item), store_item, item_remove (complete_nread_ascii).
 */
#include "dialect.h"
#include "table.h"

#include <limits.h>
#include <string.h>

/* How many small rows go between two looks at the clock. */
#define ROWS_PER_LOOK 16
/* How much of a large one.  To 1.4.28 an item of any size is of one piece. */
#define BYTES_PER_LOOK (1 << 18)

static uint64_t item_size_max; /* bytes, header and key included */

/*
 * current_time minus CLOCK_MONOTONIC, in seconds.  memcached's clock ticks once
 * a second (memcached.c: clock_handler), so what we see in an item is right or
 * one too low: the largest we ever saw is it.
 */
static int64_t clock_offset;

/* What was found and proven; called once, before the first batch is submitted. */
void backdoor_bind(const struct backdoor_functions *functions, const struct backdoor_proof *proof) {
    mc_functions = *functions;
    memcpy(mc_suffix, proof->suffix, sizeof mc_suffix);
    item_size_max = proof->item_size_max;
    clock_offset = proof->clock;
    table_bind(proof->table);
}

static rel_time_t exptime_of(int64_t ttl) {
    if (ttl == 0) {
        return 0;
    }
    int64_t t = monotonic() / 1000000000 + clock_offset + ttl;
    return t < UINT_MAX ? (rel_time_t)t : UINT_MAX;
}

static void observe_clock(const item *it) {
    int64_t offset = (int64_t)it->time - monotonic() / 1000000000;
    if (offset > clock_offset) {
        clock_offset = offset;
    }
}

/* A stale value is worse than none: proto_text.c: process_update_command does the same. */
static void drop_old(struct backdoor_batch *batch, const struct backdoor_row *row,
                     struct backdoor_worker *worker) {
    if (batch->comm != NREAD_SET) {
        return;
    }
    item *old = mc_item_get(batch->data + row->key, row->nkey, worker);
    if (old != NULL) {
        mc_item_unlink(old);
        mc_item_remove(old);
    }
}

static void settle(struct backdoor_batch *batch, struct backdoor_row *row,
                   enum backdoor_outcome outcome) {
    row->outcome = outcome;
    batch->counts[outcome]++;
    batch->it = NULL;
    batch->row++;
}

/* Allocates the current row's item; without one, the row is settled. */
static void begin(struct backdoor_batch *batch, struct backdoor_row *row,
                  struct backdoor_worker *worker) {
    item *it = NULL;
    bool fits = false;
    if (row->nvalue <= INT_MAX - 2) {
        int nbytes = (int)row->nvalue + 2;
        it = mc_item_alloc(batch->data + row->key, row->nkey, batch->flags, exptime_of(batch->ttl),
                           nbytes);
        fits = it != NULL || mc_item_size(row->nkey, batch->flags, nbytes) <= item_size_max;
    }
    if (it == NULL) {
        drop_old(batch, row, worker);
        settle(batch, row, fits ? BACKDOOR_NO_MEMORY : BACKDOOR_TOO_LARGE);
        return;
    }
    mc_set_cas(it, 0);
    /* Nobody has asked for it yet: memcached would move it from HOT to COLD (items.c:
     * lru_pull_tail), which costs a load more than anything else that its LRU maintainer does. */
    if (ITEM_lru(it->slabs_clsid) == HOT_LRU) {
        it->slabs_clsid |= COLD_LRU;
    }
    batch->it = it;
    batch->filled = 0;
    batch->ch = (mc_flags(it) & ITEM_CHUNKED) ? (item_chunk *)mc_data(it) : NULL;
}

/* Copies n bytes from offset from of the row's value with its "\r\n". */
static void copy_out(const struct backdoor_batch *batch, const struct backdoor_row *row, char *to,
                     uint32_t from, uint32_t n) {
    uint32_t bytes = from < row->nvalue ? row->nvalue - from : 0;
    if (bytes > n) {
        bytes = n;
    }
    memcpy(to, batch->data + row->value + from, bytes);
    for (; bytes < n; bytes++) {
        to[bytes] = "\r\n"[from + bytes - row->nvalue];
    }
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
        if (n > BYTES_PER_LOOK) {
            n = BYTES_PER_LOOK;
        }
        item_chunk *ch = batch->ch;
        char *to;
        if (ch == NULL) {
            to = mc_data(batch->it) + batch->filled;
        } else {
            if (ch->used == ch->size) {
                ch = mc_next_chunk(ch, nbytes - batch->filled);
                if (ch == NULL) {
                    return FILL_FAILED;
                }
                batch->ch = ch;
            }
            if (n > (uint32_t)(ch->size - ch->used)) {
                n = (uint32_t)(ch->size - ch->used);
            }
            to = mc_chunk_data(ch) + ch->used;
            ch->used += (int)n;
        }
        copy_out(batch, row, to, batch->filled, n);
        batch->filled += n;
    }
    return FILLED;
}

static enum backdoor_outcome outcome_of(enum store_item_type stored, int comm) {
    if (stored == STORED) {
        return BACKDOOR_STORED;
    }
    return comm == NREAD_REPLACE ? BACKDOOR_MISSING : BACKDOOR_EXISTS;
}

/*
 * Begins to fetch, for rows to come, what store_item will look for: the bucket of
 * the row that is AHEAD rows away, then the item in that of a nearer one.
 */
#define AHEAD 32

static void look_ahead(struct backdoor_batch *batch) {
    uint32_t end = batch->row + AHEAD;
    for (; batch->hashed < end && batch->hashed < batch->nrows; batch->hashed++) {
        struct backdoor_row *row = &batch->rows[batch->hashed];
        row->hv = table_fetch_bucket(batch->data + row->key, row->nkey);
    }
    uint32_t nearer = batch->row + AHEAD / 2;
    if (nearer < batch->hashed) {
        table_fetch_item(batch->rows[nearer].hv);
    }
}

static enum backdoor_progress run(struct backdoor_job *job, struct backdoor_worker *worker,
                                  int64_t until) {
    struct backdoor_batch *batch = (struct backdoor_batch *)job;
    if (worker == NULL) {
        /* Nobody will fill it; left alone, its memory would be lost to a warm restart (-e). */
        if (batch->it != NULL) {
            mc_item_remove(batch->it);
            batch->it = NULL;
        }
        return BACKDOOR_FINISHED;
    }
    /* An item that is begun is stored first, rather than held while the table grows. */
    bool room = table_has_room(batch->expected);
    if (batch->it == NULL && !room) {
        return BACKDOOR_LATER;
    }
    uint32_t first = batch->row;
    bool ahead = table_located();
    bool clock_seen = false;
    while (batch->row < batch->nrows) {
        struct backdoor_row *row = &batch->rows[batch->row];
        if (batch->it == NULL) {
            if (ahead) {
                look_ahead(batch);
            }
            begin(batch, row, worker);
        }
        if (batch->it != NULL) {
            item *it = batch->it;
            switch (fill(batch, row, until)) {
            case FILL_LATER:
                return BACKDOOR_MORE;
            case FILL_FAILED:
                drop_old(batch, row, worker);
                settle(batch, row, BACKDOOR_NO_MEMORY);
                break;
            case FILLED: {
                enum store_item_type stored = mc_store_item(it, batch->comm, worker);
                if (stored == STORED && !clock_seen) {
                    observe_clock(it);
                    clock_seen = true;
                }
                settle(batch, row, outcome_of(stored, batch->comm));
            }
            }
            mc_item_remove(it);
        }
        bool large = row->nvalue > 4096;
        if ((large || batch->row % ROWS_PER_LOOK == 0) && monotonic() >= until) {
            break;
        }
    }
    table_took(batch->row - first);
    return batch->row == batch->nrows ? BACKDOOR_FINISHED : BACKDOOR_MORE;
}

/*
 * Submits a batch: job.done, data, rows, nrows, flags, comm, ttl and expected are set by the
 * caller, no row has an outcome yet.
 */
void backdoor_batch_start(struct backdoor_batch *batch) {
    batch->job.run = run;
    batch->row = 0;
    batch->hashed = 0;
    batch->it = NULL;
    backdoor_submit(&batch->job);
}
