/*
 * memcached's workers, as jobs run on them.
 *
 * Each worker gets one event of the library's, an eventfd, in its libevent base.  While the eventfd
 * is readable, libevent calls back each time it has served the worker's connections.
 */
#define _GNU_SOURCE
#include "worker.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* When a job that waits continues. */
static const struct timeval later = {0, 1000};

/* libevent 2 (event2/event.h), as far as it is used here. */
#define EV_READ 0x02
#define EV_PERSIST 0x10
typedef void *event_new_fn(struct event_base *base, int fd, short events, worker_callback *callback,
                           void *arg);
typedef int event_add_fn(void *event, const struct timeval *timeout);
typedef void event_free_fn(void *event);

struct backdoor_worker workers[MAX_WORKERS];

static atomic_int requests; /* for a slot of workers[] */
static event_add_fn *event_add;

int worker_requests(void) {
    return atomic_load(&requests);
}

int worker_slots(void) {
    int n = atomic_load(&requests);
    return n < MAX_WORKERS ? n : MAX_WORKERS;
}

bool worker_is_alive(int index) {
    return __atomic_load_n(&workers[index].alive, __ATOMIC_SEQ_CST);
}

int worker_next(int index) {
    int n = worker_slots();
    for (int i = 1; i <= n; i++) {
        int next = (index + i) % n;
        if (worker_is_alive(next)) {
            return next;
        }
    }
    return -1;
}

int backdoor_worker_count(void) {
    int count = 0;
    for (int i = 0; i < worker_slots(); i++) {
        count += worker_is_alive(i);
    }
    return count;
}

void eventfd_post(int eventfd) {
    uint64_t one = 1;
    ssize_t n = write(eventfd, &one, sizeof one);
    (void)n;
}

void eventfd_drain(int eventfd) {
    uint64_t count;
    ssize_t n = read(eventfd, &count, sizeof count);
    (void)n;
}

void worker_wake(int index) {
    eventfd_post(workers[index].eventfd);
}

bool worker_wake_later(struct backdoor_worker *worker) {
    return event_add(worker->timer, &later) == 0;
}

/* The timer's callback. */
static void on_timer(int fd, short events, void *arg) {
    (void)fd, (void)events;
    eventfd_post(((struct backdoor_worker *)arg)->eventfd);
}

int backdoor_worker_eventfd(int from) {
    int low = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int high = low >= 0 ? fcntl(low, F_DUPFD_CLOEXEC, from) : -1;
    if (high < 0) {
        return low;
    }
    close(low);
    return high;
}

struct backdoor_worker *worker_claim_slot(void) {
    int index = atomic_fetch_add(&requests, 1);
    return index < MAX_WORKERS ? &workers[index] : NULL;
}

bool worker_attach(struct backdoor_worker *worker, struct event_base *base,
                   worker_callback *callback) {
    event_new_fn *event_new = (event_new_fn *)dlsym(RTLD_DEFAULT, "event_new");
    event_add = (event_add_fn *)dlsym(RTLD_DEFAULT, "event_add");
    event_free_fn *event_free = (event_free_fn *)dlsym(RTLD_DEFAULT, "event_free");
    if (event_new == NULL || event_add == NULL || event_free == NULL) {
        return false;
    }
    worker->timer = event_new(base, -1, 0, on_timer, worker);
    void *event = event_new(base, worker->eventfd, EV_READ | EV_PERSIST, callback, worker);
    if (worker->timer != NULL && event != NULL && event_add(event, NULL) == 0) {
        return true;
    }
    if (worker->timer != NULL) {
        event_free(worker->timer);
    }
    if (event != NULL) {
        event_free(event);
    }
    return false;
}
