/*
 * Running jobs on memcached's own workers.
 *
 * One worker at a time has the turn: it alone takes jobs from the queue, runs the first of them for
 * one slice, and returns to its loop.  Its eventfd stays readable while there is work, so libevent
 * calls again after it has served the worker's connections.  The turn passes to the next worker
 * after TURN, when a job is finished.
 *
 * There is no lock, since a worker must never wait for a thread of the library: submitters push to
 * `inbox`, and only the worker that has the turn uses `queue`.
 */
#include "turn.h"

#include "roll_call.h"
#include "share.h"

#include <sched.h>
#include <stdatomic.h>

/*
 * How long a worker's connections wait for a job, in nanoseconds: if the worker was idle, and if it
 * was not.
 */
#define SLICE 200000
#define SHORT_SLICE 50000

/* A worker was idle if it calls again so soon after its last slice, in nanoseconds. */
#define IDLE 20000

/*
 * How long a worker keeps the turn while there is work, in nanoseconds: long
 * against what it costs to wake the next one, short for a person.
 */
#define TURN 20000000

static atomic_int turn = -1; /* the index of the worker that has it; -1: none */
static int64_t turn_ends;    /* when it passes on, CLOCK_MONOTONIC in nanoseconds */

static _Atomic(struct backdoor_job *) inbox; /* newest first */
static struct backdoor_job *queue;           /* oldest first */

/* The job is the submitter's again once done is posted. */
static void finish(struct backdoor_job *job, int finished) {
    int done = job->done;
    __atomic_store_n(&job->finished, finished, __ATOMIC_RELEASE);
    eventfd_post(done);
}

/* Moves what was submitted to the end of the queue, in the order of submission. */
static void take_inbox(void) {
    struct backdoor_job *newest = atomic_exchange(&inbox, NULL), *oldest = NULL;
    while (newest != NULL) {
        struct backdoor_job *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    struct backdoor_job **end = &queue;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = oldest;
}

/* No worker is left to run the jobs: memcached is stopping. */
static void fail(struct backdoor_job *jobs) {
    while (jobs != NULL) {
        struct backdoor_job *job = jobs;
        jobs = job->next;
        job->run(job, NULL, 0);
        finish(job, -1);
    }
}

static void fail_all(void) {
    take_inbox();
    struct backdoor_job *jobs = queue;
    queue = NULL;
    fail(jobs);
}

/* Wakes the worker that has the turn, even if the turn passes on meanwhile. */
static void wake_holder(void) {
    int index;
    do {
        index = atomic_load(&turn);
        if (index >= 0) {
            worker_wake(index);
        }
    } while (index != atomic_load(&turn));
}

/*
 * Passes the turn from a worker that has it to the next one that is alive; to itself if there is no
 * other.  The next one may be leaving.  It first says so and then reads the turn (turn_leave); this
 * one first sets the turn and then reads whether the next one is alive.  So one of the two sees the
 * other, and if both do, one of them passes the turn on.
 */
static void pass(int from) {
    for (;;) {
        int holder = from, next = worker_next(from);
        if (!atomic_compare_exchange_strong(&turn, &holder, next)) {
            return;
        }
        if (next < 0) {
            fail_all(); /* no other worker uses the queue: none has the turn any more */
            return;
        }
        if (worker_is_alive(next)) {
            return;
        }
        from = next;
    }
}

/* How long a slice may be that begins now, if the worker's last one ended at slice_end. */
static int64_t slice(int64_t slice_end, int64_t now) {
    return now - slice_end < IDLE ? SLICE : SHORT_SLICE;
}

/*
 * Ends a slice.  libevent will not sleep, and so the kernel would let no other thread run on this
 * processor for some milliseconds: memcached's other workers and its clients.  If those never sleep
 * either, each yield takes that long, so for as long as the last one took there is none.
 */
static void end_slice(struct backdoor_worker *worker) {
    worker->slice_end = monotonic();
    if (worker->slice_end < worker->no_yield_until) {
        return;
    }
    sched_yield();
    int64_t now = monotonic();
    worker->no_yield_until = now + (now - worker->slice_end);
}

/* The worker does not have the turn: it may be the helper. */
static void serve_without_turn(struct backdoor_worker *worker, int index, int fd, int64_t now) {
    bool helper = share_is_helper(index);
    if (helper && share_help(now + slice(worker->slice_end, now))) {
        end_slice(worker);
        return; /* fd is still readable: libevent calls again */
    }
    eventfd_drain(fd);
    if (helper) {
        share_rest();
    }
    if (atomic_load(&inbox) != NULL) {
        wake_holder();
    }
}

/* Runs the first job of the queue for a slice.  Returns whether it is finished. */
static bool run_slice(struct backdoor_worker *worker, int fd, int64_t now) {
    struct backdoor_job *job = queue;
    switch (job->run(job, worker, now + slice(worker->slice_end, now))) {
    case BACKDOOR_MORE:
        end_slice(worker);
        return false; /* fd is still readable: libevent calls again */
    case BACKDOOR_LATER:
        if (worker_wake_later(worker)) {
            eventfd_drain(fd);
        }
        return false;
    case BACKDOOR_FINISHED:
        break;
    }
    queue = job->next;
    return true;
}

void turn_serve(int fd, short events, void *arg) {
    struct backdoor_worker *worker = arg;
    int index = (int)(worker - workers);
    int64_t now = monotonic();
    (void)events;

    roll_call_answer(worker);
    if (atomic_load(&turn) != index) {
        serve_without_turn(worker, index, fd, now);
        return;
    }
    take_inbox();
    struct backdoor_job *job = queue;
    if (job == NULL) {
        eventfd_drain(fd);
        if (atomic_load(&inbox) != NULL) {
            eventfd_post(fd);
        }
        return;
    }
    if (!run_slice(worker, fd, now)) {
        return;
    }
    bool more = queue != NULL;
    finish(job, 1);

    if (now < turn_ends || worker_next(index) == index) {
        return; /* the next call continues with the queue, or drains fd */
    }
    turn_ends = now + TURN;
    eventfd_drain(fd);
    pass(index);
    if (more || atomic_load(&inbox) != NULL) {
        wake_holder();
    }
}

void turn_offer(int index) {
    int none = -1;
    atomic_compare_exchange_strong(&turn, &none, index);
}

void turn_leave(int index) {
    if (atomic_load(&turn) != index) {
        return;
    }
    pass(index);
    wake_holder();
}

void backdoor_submit(struct backdoor_job *job) {
    job->finished = 0;
    job->next = atomic_load(&inbox);
    while (!atomic_compare_exchange_weak(&inbox, &job->next, job)) {
    }
    wake_holder();
    if (atomic_load(&turn) < 0) {
        /* No worker takes the inbox any more: its jobs are this thread's to fail. */
        fail(atomic_exchange(&inbox, NULL));
    }
}
