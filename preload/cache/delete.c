/*
 * item_unlink alone would leave a value in extstore counted in its page: memcached frees and
 * compacts pages by that count, and calls STORAGE_delete with item_unlink (proto_text.c:
 * process_update_command).  STORAGE_delete is not found, but store_item calls it for the item that
 * it replaces (memcached.c: do_store_item).  So an item that has expired replaces the old one, and
 * memcached removes it when it is asked for (items.c: do_item_get).
 *
 * This counts in memcached's statistics: as get_expired, and with NREAD_CAS as cas_hits.  The new
 * item may take the memory of the least recently used one of its slab class, if there is no other;
 * the next ones take that of the items that were deleted before.
 */
#include "delete.h"

#include <string.h>

/*
 * Replaces an item in extstore by one that has expired.  With NREAD_CAS store_item compares the CAS
 * unique, which it must have: another item that a client has stored stays.  Returns whether the
 * item is not in the table any more.
 */
static bool replace_external(item *old, int comm, struct backdoor_worker *worker) {
    const char *key = mc_key(old);
    uint64_t cas = comm == NREAD_CAS ? mc_cas(old) : 0;
    if (comm == NREAD_CAS && cas == 0) {
        return false;
    }
    item *it = mc_item_alloc(key, old->nkey, 0, EXPTIME_PAST, 2);
    if (it == NULL) {
        return false;
    }
    memcpy(mc_data(it), "\r\n", 2);
    mc_set_cas(it, cas);
    enum store_item_type stored = mc_store_item(it, comm, worker, 0);
    mc_item_remove(it);
    it = stored == STORED ? mc_item_get(key, old->nkey, worker) : NULL;
    if (it != NULL) { /* a client has stored another meanwhile */
        mc_item_remove(it);
    }
    return stored == STORED || stored == EXISTS || stored == NOT_FOUND;
}

/* Without memory for the other item, and with NREAD_CAS without CAS uniques (-C), the page of a
 * value in extstore counts one too many until it is compacted. */
void delete_item(item *it, int comm, struct backdoor_worker *worker) {
    if ((mc_flags(it) & ITEM_HDR) == 0 || !replace_external(it, comm, worker)) {
        mc_item_unlink(it);
    }
}
