/*
 * Making the items of a batch's rows: item_alloc, and copying the row's data.
 *
 * About a third of what a row costs, mostly for memory that is touched for the first
 * time, is spent before its item can be found.  So a second worker, the helper, does
 * it, a little ahead of the worker that stores.  Rows are claimed in groups; the
 * worker that has claimed a group makes it.
 *
 * Items that are not linked yet cannot be evicted.  So few are made ahead, and no
 * large ones: their slab class may have a single page, and memcached's clients
 * store, too.
 */
#include "make.h"

#include "clock.h"
#include "table.h"

#include <limits.h>
#include <string.h>

/* How many rows are claimed at once. */
#define GROUP_ROWS 32

/* How far ahead of the next row to store items are made: rows, and their bytes. */
#define AHEAD_ROWS 1024
#define AHEAD_BYTES (128 << 10)

/* The largest value that is made ahead, in bytes. */
#define AHEAD_VALUE (16 << 10)

static rel_time_t exptime_of(uint32_t ttl) {
    if (ttl == 0) {
        return 0;
    }
    if (ttl == BACKDOOR_PAST) {
        return EXPTIME_PAST;
    }
    int64_t t = clock_now() + ttl;
    return t < UINT_MAX ? (rel_time_t)t : UINT_MAX;
}

/* Can a command have the row's key as it is (protocol.txt: "Keys")? */
static bool is_text(const struct backdoor_batch *batch, const struct backdoor_row *row) {
    for (uint32_t i = 0; i < row->nkey; i++) {
        unsigned char byte = (unsigned char)batch->data[row->key + i];
        if (byte <= ' ' || byte == 0x7f) {
            return false;
        }
    }
    return true;
}

item *make_item(const struct backdoor_batch *batch, const struct backdoor_row *row) {
    item *it = mc_item_alloc(batch->data + row->key, row->nkey, row->flags, exptime_of(row->ttl),
                             (int)row->nvalue + 2);
    if (it == NULL) {
        return NULL;
    }
    mc_set_cas(it, 0);
    if (batch->binary && mc_functions.marks_keys && !is_text(batch, row)) {
        it->it_flags |= ITEM_KEY_BINARY;
    }
    /* store_item keeps a new item's flags (items.c: do_item_link, item_replace). */
    if (mc_functions.has_stale && (row->stale || row->won)) {
        it->it_flags |= (row->stale ? ITEM_STALE : 0) | (row->won ? ITEM_TOKEN_SENT : 0);
    }
    /* No client has read it yet, so memcached would move it from HOT to COLD (items.c:
     * lru_pull_tail), which costs a load more than all else that the LRU maintainer does. */
    if (ITEM_lru(it->slabs_clsid) == HOT_LRU) {
        it->slabs_clsid |= COLD_LRU;
    }
    return it;
}

void copy_data(const struct backdoor_batch *batch, const struct backdoor_row *row, char *to,
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

static void make_row(struct backdoor_batch *batch, struct backdoor_row *row) {
    item *it = make_item(batch, row);
    if (it != NULL && (mc_flags(it) & ITEM_CHUNKED)) { /* filling it may take longer than a slice */
        mc_item_remove(it);
        it = NULL;
    }
    if (it != NULL) {
        copy_data(batch, row, mc_data(it), 0, row->nvalue + 2);
    }
    if (table_located()) {
        row->hv = mc_hash(batch->data + row->key, row->nkey);
    }
    row->it = it;
    __atomic_store_n(&row->made, true, __ATOMIC_RELEASE);
}

/* May the item of row i be made while row is the next one to store?  The limits of the distance are
 * divided by divisor. */
static bool is_near(const struct backdoor_batch *batch, uint32_t row, uint32_t i,
                    uint32_t divisor) {
    const struct backdoor_row *rows = batch->rows;
    return i < batch->nrows && i - row < AHEAD_ROWS / divisor &&
           rows[i].key - rows[row].key < AHEAD_BYTES / divisor && rows[i].nvalue <= AHEAD_VALUE;
}

bool make_group(struct backdoor_batch *batch) {
    uint32_t from = __atomic_load_n(&batch->claimed, __ATOMIC_SEQ_CST), to;
    do {
        uint32_t row = __atomic_load_n(&batch->next_row, __ATOMIC_SEQ_CST);
        for (to = from; to - from < GROUP_ROWS && is_near(batch, row, to, 1); to++) {
        }
        if (to == from) {
            return false;
        }
    } while (!__atomic_compare_exchange_n(&batch->claimed, &from, to, false, __ATOMIC_SEQ_CST,
                                          __ATOMIC_SEQ_CST));
    for (; from < to; from++) {
        make_row(batch, &batch->rows[from]);
    }
    return true;
}

bool make_needs_help(const struct backdoor_batch *batch) {
    return is_near(batch, batch->next_row, __atomic_load_n(&batch->claimed, __ATOMIC_SEQ_CST), 2);
}

bool make_help(struct backdoor_job *job, int64_t until) {
    struct backdoor_batch *batch = (struct backdoor_batch *)job;
    while (make_group(batch)) {
        if (monotonic() >= until) {
            return true;
        }
    }
    return false;
}

void unmake(struct backdoor_batch *batch, uint32_t from) {
    for (uint32_t i = from; i < batch->claimed; i++) {
        struct backdoor_row *row = &batch->rows[i];
        if (row->it != NULL) {
            mc_item_remove(row->it);
            row->it = NULL;
        }
        row->made = false;
    }
    if (batch->claimed > from) {
        batch->claimed = from;
    }
}
