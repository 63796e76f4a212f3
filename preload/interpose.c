/*
 * The names that stand in front of libc's and libevent's.  All of it is C, for Go
 * behind a libc name deadlocks; the real function is looked up when first needed,
 * since other libraries' constructors may call before ours has run.
 *
 *   pthread_create    tells memcached's worker threads from its others
 *   event_base_loop   the moment when memcached is ready (main thread), and the
 *                     place where a worker takes our event into its base
 *
 * exports.map lists the same names; nothing else of the library is visible.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

typedef int event_base_loop_fn(struct event_base *base, int flags);

static pthread_create_fn *_Atomic real_create;
static event_base_loop_fn *_Atomic real_loop;

pthread_create_fn *real_pthread_create(void) {
    pthread_create_fn *real = atomic_load(&real_create);
    if (real == NULL) {
        real = (pthread_create_fn *)dlsym(RTLD_NEXT, "pthread_create");
        atomic_store(&real_create, real);
    }
    return real;
}

/* The start of a worker thread, kept until it runs. */
struct worker_start {
    void *(*fn)(void *);
    void *thread; /* LIBEVENT_THREAD */
};

/* On a worker: its LIBEVENT_THREAD, until its first event_base_loop. */
static __thread void *worker_thread __attribute__((tls_model("initial-exec")));

static void *start_worker(void *arg) {
    struct worker_start start = *(struct worker_start *)arg;
    free(arg);
    worker_thread = start.thread;
    void *result = start.fn(start.thread);
    backdoor_worker_leave();
    return result;
}

/*
 * memcached makes its workers, and no other thread, with attributes (thread.c:
 * create_worker); the argument is the worker's LIBEVENT_THREAD.
 */
__attribute__((visibility("default"))) int
pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
    pthread_create_fn *real = real_pthread_create();
    if (real == NULL) {
        return ENOSYS;
    }
    if (!host_is_memcached() || attr == NULL || arg == NULL || !host_contains((uintptr_t)fn)) {
        return real(thread, attr, fn, arg);
    }
    struct worker_start *start = malloc(sizeof *start);
    if (start == NULL) {
        return real(thread, attr, fn, arg);
    }
    *start = (struct worker_start){fn, arg};
    int err = real(thread, attr, start_worker, start);
    if (err != 0) {
        free(start);
    }
    return err;
}

/* A LIBEVENT_THREAD begins with its pthread_t and its event base, at every version. */
static bool is_base_of(void *thread, const struct event_base *base) {
    return ((void **)thread)[1] == base;
}

__attribute__((visibility("default"))) int event_base_loop(struct event_base *base, int flags) {
    static atomic_bool ready;
    event_base_loop_fn *real = atomic_load(&real_loop);
    if (real == NULL) {
        real = (event_base_loop_fn *)dlsym(RTLD_NEXT, "event_base_loop");
        if (real == NULL) {
            return -1;
        }
        atomic_store(&real_loop, real);
    }
    if (host_is_memcached()) {
        if (worker_thread != NULL) {
            if (is_base_of(worker_thread, base)) {
                backdoor_worker_enter(worker_thread, base);
            }
            worker_thread = NULL;
        } else if (!atomic_load(&ready) && gettid() == getpid()) {
            atomic_store(&ready, true);
            memcached_ready();
        }
    }
    return real(base, flags);
}
