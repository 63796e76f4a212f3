/* memcached's worker threads, and how to wake one. */
#ifndef WORKER_H
#define WORKER_H

#include "backdoor.h"

#include <time.h>

/* What must hold.  Checked in test builds only (cgo_faulty.go): a failure ends memcached. */
#ifdef CHECK_INVARIANTS
#include <assert.h>
#define INVARIANT(condition) assert(condition)
#else
#define INVARIANT(condition) ((void)(0 && (condition)))
#endif

/* More workers would cost descriptors and gain nothing: one stores at a time. */
#define MAX_WORKERS 16

struct backdoor_worker {
    void *thread;           /* memcached's LIBEVENT_THREAD; only its address is used */
    int eventfd;            /* in the worker's event base; readable: the worker is woken */
    void *timer;            /* an event in that base, which wakes the worker */
    bool alive;             /* atomic: from the first event_base_loop to the thread's end */
    int64_t slice_end;      /* the end of its last slice, CLOCK_MONOTONIC in nanoseconds */
    int64_t no_yield_until; /* it does not yield the processor before, in the same unit */
    uint32_t answered;      /* atomic: the last roll call that it has answered */

    /*
     * A conn for store_item and item_get up to 1.6.18.  Of a conn they read
     * `thread` and, if an item has a CAS or logs are watched, `set_stale` and
     * `sfd`; they write `cas` (memcached.c: do_store_item, do_item_get).  With
     * the worker in every word the offsets need not be known.  set_stale must be
     * false, or NREAD_CAS would replace items with a higher CAS: it is the byte 6
     * of a word, which is 0 in the addresses of a process (of 48 bits, 47 on
     * x86-64); the proof tries that (prove.c: prove_cas).
     */
    void *conn[256];
};

/* The first worker_slots() of them are taken, for good; a worker is known by its index. */
extern struct backdoor_worker workers[MAX_WORKERS];

/* How much a job does between two checks whether its slice is over: small rows or items, or bytes
 * of a large one.  Above LARGE bytes it checks after each. */
#define ITEMS_PER_CHECK 16
#define BYTES_PER_CHECK (1u << 18)
#define LARGE 4096

/* CLOCK_MONOTONIC in nanoseconds. */
static inline int64_t monotonic(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

/* How many workers have asked for a slot; there may be more than MAX_WORKERS. */
int worker_requests(void);
int worker_slots(void);
bool worker_is_alive(int index);

/* The next worker after index that is alive; index itself if no other is; or -1. */
int worker_next(int index);

/* libevent's callback (event2/event.h: event_callback_fn). */
typedef void worker_callback(int fd, short events, void *arg);

/* The next slot, or NULL if none is left. */
struct backdoor_worker *worker_claim_slot(void);

/*
 * Adds the worker's event to its base: callback is called with the worker whenever its eventfd is
 * readable.  Returns false if libevent has no memory for it.
 */
bool worker_attach(struct backdoor_worker *worker, struct event_base *base,
                   worker_callback *callback);

void worker_wake(int index);

/* Wakes the worker in a millisecond.  Returns false if that failed. */
bool worker_wake_later(struct backdoor_worker *worker);

/* Make an eventfd readable, and not readable.  Its counter cannot overflow here, so neither call
 * can block or fail. */
void eventfd_post(int eventfd);
void eventfd_drain(int eventfd);

#endif
