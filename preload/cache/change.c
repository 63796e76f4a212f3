/*
 * Changing items that a walk has found, on one of memcached's workers.
 *
 * An item is changed only if it is still the one that was found.  The reference that item_get
 * returns keeps it: while there is another one, memcached changes no value in place (memcached.c:
 * do_add_delta), and what a client stores is another item, with a CAS unique of its own.
 * item_unlink locks the item, and does nothing if it is not in the table any more (items.c:
 * do_item_unlink).
 *
 * What a client does between the comparison and item_unlink is as if it came after the deletion: if
 * it has touched the item or marked it as stale, the item is deleted; if it has stored another one,
 * that one stays.  The item counts as deleted.
 */
#include "clock.h"
#include "delete.h"
#include "locks.h"

/*
 * An item that was fetched is never found by its use (filter.go: OlderThan), so with same_use one
 * that is now was read since.
 *
 * Without CAS uniques (-C) an item is known by its size and times: one that a client has stored
 * within the same second cannot be told from the one that was found.
 */
static bool is_same(const struct backdoor_changes *changes, const struct backdoor_found *found,
                    const item *it) {
    bool no_cas = found->cas == 0;
    return mc_cas(it) == found->cas && (uint32_t)it->nbytes - 2 == found->nvalue &&
           (!(changes->same_life || no_cas) || it->exptime == found->exptime) &&
           (!(changes->same_use || no_cas) || it->time == found->time) &&
           (!changes->same_use || (mc_flags(it) & ITEM_FETCHED) == 0);
}

/* When an item with this time to live expires.  clock_now may be a second behind, for nothing is
 * stored here that shows it (clock.h): with a time of one second the item could have expired. */
static rel_time_t exptime_of(uint32_t ttl) {
    return ttl == 0 ? 0 : (rel_time_t)(clock_now() + (ttl < 2 ? 2 : ttl));
}

/* Sets when an item expires, as do_item_touch does, under its lock. Returns whether it was the same
 * until then. */
static bool touch(const struct backdoor_changes *changes, const struct backdoor_found *found,
                  item *it) {
    pthread_mutex_t *lock = item_lock(mc_hash(mc_key(it), it->nkey));
    pthread_mutex_lock(lock);
    bool same = is_same(changes, found, it) && (mc_flags(it) & ITEM_LINKED) != 0;
    if (same) {
        it->exptime = exptime_of(found->ttl);
    }
    pthread_mutex_unlock(lock);
    return same;
}

static enum backdoor_changed change(struct backdoor_changes *changes,
                                    const struct backdoor_found *found,
                                    struct backdoor_worker *worker) {
    item *it = mc_item_get(changes->data + found->key, found->nkey, worker);
    if (it == NULL) {
        return BACKDOOR_GONE;
    }
    bool same = is_same(changes, found, it);
    if (same && changes->change == BACKDOOR_DELETE) {
        delete_item(it, NREAD_CAS, worker);
    } else if (same) {
        same = touch(changes, found, it);
    }
    mc_item_remove(it);
    return same ? BACKDOOR_CHANGED : BACKDOOR_REPLACED;
}

/* Invariant: between two slices no item is held. */
static enum backdoor_progress run_changes(struct backdoor_job *job, struct backdoor_worker *worker,
                                          int64_t until) {
    struct backdoor_changes *changes = (struct backdoor_changes *)job;
    while (worker != NULL && changes->next < changes->nfound) {
        changes->counts[change(changes, &changes->found[changes->next], worker)]++;
        changes->next++;
        if (changes->next % ITEMS_PER_CHECK == 0 && monotonic() >= until) {
            break;
        }
    }
    return worker == NULL || changes->next == changes->nfound ? BACKDOOR_FINISHED : BACKDOOR_MORE;
}

void backdoor_submit_changes(struct backdoor_changes *changes) {
    INVARIANT(backdoor_can_walk());
    changes->job.run = run_changes;
    changes->next = 0;
    for (int i = 0; i < BACKDOOR_CHANGED_OUTCOMES; i++) {
        changes->counts[i] = 0;
    }
    backdoor_submit(&changes->job);
}
