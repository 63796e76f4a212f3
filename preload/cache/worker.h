/* What the parts of this package know of a memcached worker thread. */
#ifndef WORKER_H
#define WORKER_H

#include "backdoor.h"

#include <time.h>

/* What must hold; looked at in test builds only (cgo_faulty.go), for a failure ends memcached. */
#ifdef CHECK_INVARIANTS
#include <assert.h>
#define INVARIANT(condition) assert(condition)
#else
#define INVARIANT(condition) ((void)(0 && (condition)))
#endif

struct backdoor_worker {
    void *thread;           /* memcached's LIBEVENT_THREAD; its address is all we use */
    int eventfd;            /* eventfd in the worker's event base */
    void *timer;            /* event in that base, which posts eventfd */
    bool alive;             /* atomic: from the first event_base_loop to the thread's end */
    int64_t slice_end;      /* when its last slice did, CLOCK_MONOTONIC in nanoseconds */
    int64_t no_yield_until; /* it gives the processor up again from then on, likewise */
    uint32_t answered;      /* atomic: the roll call that it has answered */

    /*
     * A conn for store_item and item_get up to 1.6.18.  Of a conn they read
     * `thread` and, where an item has a CAS or logs are watched, `set_stale` and
     * `sfd`; they write `cas` (memcached.c: do_store_item, do_item_get).  With
     * the worker in every word the offsets need not be known.
     */
    void *conn[256];
};

/* Nanoseconds of CLOCK_MONOTONIC. */
static inline int64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* All that follows is for the worker that has the turn. */

/* The roll call: have all of memcached's workers been in their loops since? */
enum attendance {
    ALL_CAME,
    AWAITED,
    UNKNOWN, /* there are workers that we cannot call */
};
void worker_call_roll(void);
enum attendance worker_attendance(void);

/* Letting another worker aid the job that one is working on. */
bool worker_share(struct backdoor_job *job);
void worker_wake_aide(void);
bool worker_unshare(struct backdoor_job *job);

#endif
