/*
 * Running our jobs on memcached's own worker threads.
 *
 * Every worker gets one event of ours, an eventfd, in its libevent base.  One
 * worker at a time has the turn: it alone takes jobs from the queue, works on
 * the first for one slice, and goes back to its loop.  The eventfd stays
 * readable while there is work, so libevent calls again after it has served the
 * worker's connections.  With each finished job the turn passes on.
 *
 * The job that the turn's holder works on may be shared: then one other worker,
 * the aide, takes it out of `shared` for a slice at a time.
 *
 * There is no lock, for a worker must never wait for one of our threads:
 * submitters push on `inbox`, `queue` is touched by the turn's holder only, and
 * what is in `shared` is in nobody's hands.
 */
#define _GNU_SOURCE
#include "worker.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* More of them would cost descriptors and gain nothing: one stores at a time. */
#define MAX_WORKERS 16

/*
 * How long a worker's connections may wait for us, in nanoseconds: while there
 * are none that do, and while there are.
 */
#define SLICE 200000
#define SHORT_SLICE 50000

/* A worker that comes back to us so soon, in nanoseconds, had nothing else to do. */
#define IDLE 20000

/*
 * How long a worker keeps the turn while there is work, in nanoseconds: long
 * against what it costs to wake the next one, short for a person.
 */
#define TURN 20000000

/* When a job that cannot go on is looked at again. */
static const struct timeval later = {0, 1000};

/* libevent 2 (event2/event.h), as far as we use it. */
#define EV_READ 0x02
#define EV_PERSIST 0x10
typedef void event_callback(int fd, short events, void *arg);
typedef void *event_new_fn(struct event_base *base, int fd, short events, event_callback *callback,
                           void *arg);
typedef int event_add_fn(void *event, const struct timeval *timeout);
typedef void event_free_fn(void *event);

static struct backdoor_worker workers[MAX_WORKERS];
static atomic_int entered;   /* slots of workers[] that were given out */
static atomic_int turn = -1; /* index of the worker that has it; -1: there is none */
static int64_t turn_ends;    /* its holder's: when it passes on, CLOCK_MONOTONIC in nanoseconds */
static uint32_t roll_call;   /* atomic: the number of the last one */

static _Atomic(struct backdoor_job *) inbox; /* newest first */
static struct backdoor_job *queue;           /* oldest first; the turn's holder's */

static _Atomic(struct backdoor_job *) shared;
static atomic_int aide;          /* index of the worker that is asked to aid */
static atomic_bool aide_resting; /* it has nothing to do until it is woken */

static __thread struct backdoor_worker *self;

static event_add_fn *event_add;

static bool alive(const struct backdoor_worker *worker) {
    return __atomic_load_n(&worker->alive, __ATOMIC_SEQ_CST);
}

static int slots(void) {
    int n = atomic_load(&entered);
    return n < MAX_WORKERS ? n : MAX_WORKERS;
}

/* The worker after index whose turn it can be; index itself if it is the only one, or -1. */
static int next_alive(int index) {
    int n = slots();
    for (int i = 1; i <= n; i++) {
        int next = (index + i) % n;
        if (alive(&workers[next])) {
            return next;
        }
    }
    return -1;
}

/* An eventfd's counter cannot overflow here, so neither call can block or fail. */
static void post(int eventfd) {
    uint64_t one = 1;
    ssize_t n = write(eventfd, &one, sizeof one);
    (void)n;
}

static void drain(int eventfd) {
    uint64_t count;
    ssize_t n = read(eventfd, &count, sizeof count);
    (void)n;
}

/* Tells the submitter.  The job is the submitter's again once done is posted. */
static void finish(struct backdoor_job *job, int finished) {
    int done = job->done;
    __atomic_store_n(&job->finished, finished, __ATOMIC_RELEASE);
    post(done);
}

/* Moves what was submitted to the end of the queue, in the order of submission. */
static void collect(void) {
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

/* No worker is left to do them: memcached is stopping. */
static void fail(struct backdoor_job *jobs) {
    while (jobs != NULL) {
        struct backdoor_job *job = jobs;
        jobs = job->next;
        job->run(job, NULL, 0);
        finish(job, -1);
    }
}

static void fail_all(void) {
    collect();
    struct backdoor_job *jobs = queue;
    queue = NULL;
    fail(jobs);
}

/* Wakes whoever has the turn, also when it passes on meanwhile. */
static void wake_turn(void) {
    int index;
    do {
        index = atomic_load(&turn);
        if (index >= 0) {
            post(workers[index].eventfd);
        }
    } while (index != atomic_load(&turn));
}

/*
 * Passes the turn on from a worker that has it, to the next one that lives; from itself to
 * itself where there is no other.  The next one may be leaving: it says so first and looks for
 * the turn then (backdoor_worker_leave), while we give it the turn first and look then whether it
 * lives.  So one of us sees the other, and if both do, one of us passes the turn on.
 */
static void pass_turn(int from) {
    for (;;) {
        int holder = from, next = next_alive(from);
        if (!atomic_compare_exchange_strong(&turn, &holder, next)) {
            return;
        }
        if (next < 0) {
            fail_all(); /* the queue is nobody else's: there is no turn any more */
            return;
        }
        if (alive(&workers[next])) {
            return;
        }
        from = next;
    }
}

/* Asks every worker to come to our event. */
void worker_call_roll(void) {
    __atomic_add_fetch(&roll_call, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < slots(); i++) {
        if (alive(&workers[i])) {
            post(workers[i].eventfd);
        }
    }
}

enum attendance worker_attendance(void) {
    enum attendance all = ALL_CAME;
    for (int i = 0, n = atomic_load(&entered); i < n; i++) {
        if (i == MAX_WORKERS || !alive(&workers[i])) {
            return UNKNOWN;
        }
        if (__atomic_load_n(&workers[i].answered, __ATOMIC_SEQ_CST) != roll_call) {
            all = AWAITED;
        }
    }
    return all;
}

/* Lets another worker aid job; answers whether there is one. */
bool worker_share(struct backdoor_job *job) {
    int index = atomic_load(&turn), next = next_alive(index);
    if (next < 0 || next == index) {
        return false;
    }
    atomic_store(&aide_resting, false);
    atomic_store(&aide, next);
    atomic_store(&shared, job);
    post(workers[next].eventfd);
    return true;
}

/* There is something to do again for who aids the job that is shared. */
void worker_wake_aide(void) {
    if (atomic_load(&aide_resting) && atomic_exchange(&aide_resting, false)) {
        post(workers[atomic_load(&aide)].eventfd);
    }
}

/* Ends what worker_share began; answers false while the aide is at work on job. */
bool worker_unshare(struct backdoor_job *job) {
    return atomic_exchange(&shared, NULL) == job;
}

/* Aids the shared job for a slice; answers whether there is more to do now. */
static bool aid(int64_t until) {
    struct backdoor_job *job = atomic_exchange(&shared, NULL);
    if (job == NULL) {
        return false;
    }
    bool more = job->help(job, until);
    atomic_store(&shared, job); /* from here on it may be finished */
    return more;
}

/* The timer's callback. */
static void resume(int fd, short events, void *arg) {
    (void)fd, (void)events;
    post(((struct backdoor_worker *)arg)->eventfd);
}

/* How long the slice may be that begins now, on a worker whose last one ended then. */
static int64_t slice(int64_t ended, int64_t now) {
    return now - ended < IDLE ? SLICE : SHORT_SLICE;
}

/*
 * Ends a slice.  libevent will not sleep, and so the kernel would let nobody else
 * have this processor for some milliseconds: memcached's other workers and its
 * clients.  Beside those who never sleep that costs us as much each time, so that
 * for as long as it took we do not do it again.
 */
static void rest(struct backdoor_worker *worker) {
    worker->slice_end = monotonic();
    if (worker->slice_end < worker->no_yield_until) {
        return;
    }
    sched_yield();
    int64_t now = monotonic();
    worker->no_yield_until = now + (now - worker->slice_end);
}

/* Our event's callback, on a worker between its connections' work. */
static void serve(int fd, short events, void *arg) {
    struct backdoor_worker *worker = arg;
    int index = (int)(worker - workers);
    int64_t now = monotonic();
    (void)events;

    uint32_t called = __atomic_load_n(&roll_call, __ATOMIC_SEQ_CST);
    __atomic_store_n(&worker->answered, called, __ATOMIC_SEQ_CST);
    if (atomic_load(&turn) != index) {
        bool aiding = atomic_load(&aide) == index;
        if (aiding && aid(now + slice(worker->slice_end, now))) {
            rest(worker);
            return; /* fd is still readable: libevent comes back */
        }
        drain(fd);
        if (aiding) {
            atomic_store(&aide_resting, true);
        }
        if (atomic_load(&inbox) != NULL) {
            wake_turn();
        }
        return;
    }
    collect();
    if (queue == NULL) {
        drain(fd);
        if (atomic_load(&inbox) != NULL) {
            post(fd);
        }
        return;
    }
    struct backdoor_job *job = queue;
    switch (job->run(job, worker, now + slice(worker->slice_end, now))) {
    case BACKDOOR_MORE:
        rest(worker);
        return; /* fd is still readable: libevent comes back */
    case BACKDOOR_LATER:
        if (event_add(worker->timer, &later) == 0) {
            drain(fd);
        }
        return;
    case BACKDOOR_FINISHED:
        break;
    }
    queue = job->next;
    bool more = queue != NULL;
    finish(job, 1);

    if (now < turn_ends || next_alive(index) == index) {
        return; /* the next call goes on with the queue, or drains */
    }
    turn_ends = now + TURN;
    drain(fd);
    pass_turn(index);
    if (more || atomic_load(&inbox) != NULL) {
        wake_turn();
    }
}

/*
 * Makes the eventfd for a worker that memcached is about to make, with the number from or a
 * higher one.  Called on memcached's main thread, so that the low number that it has for a
 * moment is free again before memcached opens its next descriptor.  Returns -1 with errno.
 */
int backdoor_worker_eventfd(int from) {
    int low = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int high = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, from) : -1;
    if (high < 0) {
        return low;
    }
    close(low);
    return high;
}

static bool enter(void *thread, struct event_base *base, int wake) {
    event_new_fn *event_new = (event_new_fn *)dlsym(RTLD_DEFAULT, "event_new");
    event_add = (event_add_fn *)dlsym(RTLD_DEFAULT, "event_add");
    event_free_fn *event_free = (event_free_fn *)dlsym(RTLD_DEFAULT, "event_free");
    if (event_new == NULL || event_add == NULL || event_free == NULL) {
        return false;
    }
    int index = atomic_fetch_add(&entered, 1);
    if (index >= MAX_WORKERS) {
        return false;
    }
    struct backdoor_worker *worker = &workers[index];
    worker->thread = thread;
    for (size_t i = 0; i < sizeof worker->conn / sizeof worker->conn[0]; i++) {
        worker->conn[i] = thread;
    }
    worker->eventfd = wake;
    worker->timer = event_new(base, -1, 0, resume, worker);
    void *event = event_new(base, worker->eventfd, EV_READ | EV_PERSIST, serve, worker);
    if (worker->timer == NULL || event == NULL || event_add(event, NULL) != 0) {
        if (worker->timer != NULL) {
            event_free(worker->timer);
        }
        if (event != NULL) {
            event_free(event);
        }
        return false;
    }
    self = worker;
    __atomic_store_n(&worker->alive, true, __ATOMIC_SEQ_CST);
    int none = -1;
    atomic_compare_exchange_strong(&turn, &none, index);
    return true;
}

/*
 * Makes the calling thread, a memcached worker about to enter its loop on base,
 * one that serves jobs.  thread is its LIBEVENT_THREAD, wake its eventfd, which is the
 * worker's from then on.  Where this fails the worker is left as it is; without any worker,
 * the door's calls are refused.
 */
void backdoor_worker_enter(void *thread, struct event_base *base, int wake) {
    if (!enter(thread, base, wake)) {
        close(wake);
    }
}

/*
 * The calling thread, a worker, is about to end.  Its event went with its base,
 * which memcached has freed; its eventfd stays open, for a submitter may be
 * posting to it, and the process is about to end.
 */
void backdoor_worker_leave(void) {
    struct backdoor_worker *worker = self;
    if (worker == NULL) {
        return;
    }
    self = NULL;
    int index = (int)(worker - workers);
    __atomic_store_n(&worker->alive, false, __ATOMIC_SEQ_CST);
    if (atomic_load(&turn) != index) {
        return;
    }
    pass_turn(index);
    wake_turn();
}

/* How many workers serve jobs. */
int backdoor_worker_count(void) {
    int count = 0;
    for (int i = 0; i < slots(); i++) {
        count += alive(&workers[i]);
    }
    return count;
}

/*
 * Hands a job to the workers, from any thread; never blocks.  job->done is
 * posted when it is finished.
 */
void backdoor_submit(struct backdoor_job *job) {
    job->finished = 0;
    job->next = atomic_load(&inbox);
    while (!atomic_compare_exchange_weak(&inbox, &job->next, job)) {
    }
    wake_turn();
    if (atomic_load(&turn) < 0) {
        /* Nobody collects any more, so what is in the inbox is ours to fail. */
        fail(atomic_exchange(&inbox, NULL));
    }
}
