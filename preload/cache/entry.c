#include "entry.h"

#include "abi.h"

#include <stdlib.h>
#include <string.h>

/* An item's client flags (memcached.h: FLAGS_CONV). */
static uint64_t flags_of(const item *it) {
    const char *suffix = mc_key((item *)it) + it->nkey + 1;
    uint64_t wide;
    uint32_t narrow;
    switch (mc_data((item *)it) - suffix) {
    case 0:
        return 0;
    case sizeof wide:
        if (!mc_functions.old_layout) {
            memcpy(&wide, suffix, sizeof wide);
            return wide;
        }
        break;
    case sizeof narrow:
        memcpy(&narrow, suffix, sizeof narrow);
        return narrow;
    }
    return strtoul(suffix, NULL, 10); /* to 1.5.14: " flags length\r\n" */
}

uint32_t entry_size(const item *it, bool value) {
    uint64_t size =
        sizeof(struct backdoor_item) + it->nkey + (value ? (uint32_t)it->nbytes - 2 : 0);
    return (uint32_t)((size + 7) & ~UINT64_C(7));
}

/* Seconds until a live item expires: 0 at least, for memcached's clock may be behind now. */
static int64_t ttl_of(const item *it, int64_t now) {
    if (it->exptime == 0) {
        return -1;
    }
    return it->exptime > now ? (int64_t)it->exptime - now : 0;
}

/* Seconds since an item's time: 0 at least, for memcached's clock may be ahead of now. */
static int64_t idle_of(const item *it, int64_t now) {
    return it->time < now ? now - (int64_t)it->time : 0;
}

struct backdoor_item *entry_put(const struct backdoor_walk *walk, item *it, uint32_t size) {
    struct backdoor_item *to = (struct backdoor_item *)(walk->data + walk->filled);
    *to = (struct backdoor_item){
        .size = size,
        .nvalue = (uint32_t)it->nbytes - 2,
        .flags = flags_of(it),
        .cas = mc_cas(it),
        .ttl = ttl_of(it, walk->now),
        .idle = idle_of(it, walk->now),
        .exptime = it->exptime,
        .time = it->time,
        .nkey = it->nkey,
        .slabs_clsid = it->slabs_clsid & 63,
        .besides = (uint16_t)(mc_data(it) - (char *)it - it->nkey + 2),
        .external = (mc_flags(it) & ITEM_HDR) != 0,
        .extstore = (mc_flags(it) & ITEM_HDR) != 0,
        .stale = mc_functions.has_stale && (mc_flags(it) & ITEM_STALE),
        .won = mc_functions.has_stale && (mc_flags(it) & ITEM_TOKEN_SENT),
        .fetched = (mc_flags(it) & ITEM_FETCHED) != 0,
    };
    memcpy(to + 1, mc_key(it), it->nkey);
    return to;
}

bool entry_put_gone(struct backdoor_walk *walk, const char *key, uint8_t nkey) {
    uint32_t size = (uint32_t)((sizeof(struct backdoor_item) + nkey + 7) & ~UINT64_C(7));
    if (size > walk->room - walk->filled) {
        walk->needed = size;
        return false;
    }
    struct backdoor_item *to = (struct backdoor_item *)(walk->data + walk->filled);
    *to = (struct backdoor_item){.size = size, .nkey = nkey, .gone = true};
    memcpy(to + 1, key, nkey);
    walk->filled += size;
    return true;
}
