/*
 * The functions of libc, libevent and libseccomp that the library defines itself, before the real
 * ones (real.c).  All of it is C: a Go function of such a name deadlocks.
 *
 *   pthread_create    tells memcached's worker threads from its others
 *   event_base_loop   called when memcached is ready (main thread); a worker takes the library's
 *                     event into its base there
 *   epoll_wait        called when memcached is ready, if libevent is part of the program; the gate
 *                     for connections while fixtures load
 *   epoll_pwait2      the same, in libevent 2.2
 *   setrlimit         memcached limits its open files to its connections there, and the library
 *                     reserves descriptors (fd.c)
 *   seccomp_load      called when memcached is ready, if the main thread gives up system calls
 *                     first; a worker that does so cannot run jobs
 *
 * exports.map lists the same names; no other symbol of the library is visible.
 */
#define _GNU_SOURCE
#include "backdoor.h"
#include "fd.h"
#include "gate.h"
#include "lifecycle.h"
#include "program.h"
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define INTERPOSED __attribute__((visibility("default")))

typedef const char *event_base_get_method_fn(const struct event_base *base);
typedef int event_base_loopbreak_fn(struct event_base *base);

/* libevent's and libseccomp's; their headers are not needed for more than this. */
int event_base_loop(struct event_base *base, int flags);
int seccomp_load(void *filter);

/* The start of a worker thread, kept until it runs. */
struct worker_start {
    void *(*fn)(void *);
    void *thread; /* LIBEVENT_THREAD */
    int wake;     /* its eventfd, or -1 */
};

/* On a worker, until its first event_base_loop; then fn is NULL. */
static __thread struct worker_start starting __attribute__((tls_model("initial-exec")));

static void *start_worker(void *arg) {
    struct worker_start start = *(struct worker_start *)arg;
    free(arg);
    starting = start;
    void *result = start.fn(start.thread);
    backdoor_worker_leave();
    return result;
}

/*
 * memcached makes its workers, and no other thread, with attributes (thread.c:
 * create_worker); the argument is the worker's LIBEVENT_THREAD.
 */
INTERPOSED int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                              void *arg) {
    pthread_create_fn *real = real_pthread_create();
    if (real == NULL) {
        return ENOSYS;
    }
    if (!program_is_memcached() || attr == NULL || arg == NULL ||
        !program_contains((uintptr_t)fn)) {
        return real(thread, attr, fn, arg);
    }
    struct worker_start *start = malloc(sizeof *start);
    if (start == NULL) {
        return real(thread, attr, fn, arg);
    }
    *start =
        (struct worker_start){fn, arg, fd_first() != 0 ? backdoor_worker_eventfd(fd_first()) : -1};
    int err = real(thread, attr, start_worker, start);
    if (err != 0) {
        if (start->wake >= 0) {
            close(start->wake);
        }
        free(start);
    }
    return err;
}

/* The reason why the main thread's connections cannot be held back, or NULL. */
static const char *ungated_reason(const struct event_base *base) {
    const char *reason = workers_reason();
    if (reason != NULL) {
        return reason; /* rows are stored by protocol, over a connection */
    }
    event_base_get_method_fn *method =
        (event_base_get_method_fn *)dlsym(RTLD_DEFAULT, "event_base_get_method");
    if (method == NULL || strncmp(method(base), "epoll", strlen("epoll")) != 0) {
        return "libevent does not wait with epoll here, so that connections cannot be held back";
    }
    return NULL;
}

/* A LIBEVENT_THREAD begins with its pthread_t and its event base, at every version. */
static bool is_base_of(void *thread, const struct event_base *base) {
    return ((void **)thread)[1] == base;
}

/* The base of the main thread's loop; NULL if libevent is part of the program.  Only the main
 * thread uses it. */
static struct event_base *main_base;

/* Called on any thread.  At the first call on the main thread memcached is ready.  base is its
 * loop's, or NULL. */
static void note_ready(struct event_base *base) {
    static atomic_bool ready;
    if (!atomic_load(&ready) && on_main_thread()) {
        atomic_store(&ready, true);
        memcached_ready(ungated_reason(base));
    }
}

/* memcached ends with status 1 when this fails (memcached.c: main). */
static int run_main(event_base_loop_fn *real, struct event_base *base, int flags) {
    note_ready(base);
    main_base = base;
    int result = gate_refuses() ? -1 : real(base, flags);
    return gate_refuses() ? -1 : result;
}

/* On a worker that is about to enter its loop. */
static void enter_worker(struct event_base *base) {
    struct worker_start start = starting;
    starting.fn = NULL;
    if (start.wake < 0) {
        return;
    }
    if (is_base_of(start.thread, base) && !program_has_seccomp()) {
        backdoor_worker_enter(start.thread, base, start.wake);
    } else {
        close(start.wake);
    }
}

INTERPOSED int event_base_loop(struct event_base *base, int flags) {
    event_base_loop_fn *real = real_event_base_loop();
    if (real == NULL) {
        return -1;
    }
    if (program_is_memcached()) {
        if (starting.fn != NULL) {
            enter_worker(base);
        } else if (on_main_thread()) {
            return run_main(real, base, flags);
        }
    }
    return real(base, flags);
}

/*
 * Called in epoll_wait: makes the main thread's loop end, and returns what epoll_wait is to return.
 * libevent warns of every error there but EINTR (epoll.c: epoll_dispatch), so it gets that one, and
 * event_base_loopbreak ends the loop.  If libevent is part of the program it cannot be called, and
 * warns.
 */
static int break_loop(void) {
    event_base_loopbreak_fn *loopbreak =
        (event_base_loopbreak_fn *)dlsym(RTLD_DEFAULT, "event_base_loopbreak");
    bool ends = main_base != NULL && loopbreak != NULL && loopbreak(main_base) == 0;
    errno = ends ? EINTR : ECANCELED;
    return -1;
}

/* libevent waits in its loop with one of the next two functions only (epoll.c).  Returns 1 if the
 * real one is to be called, else what it is to return. */
static int before_wait(const struct timespec *timeout) {
    if (!program_is_memcached()) {
        return 1;
    }
    if (!program_links_libevent()) {
        note_ready(NULL);
    }
    int n = gate_wait(timeout);
    return n < 0 && gate_refuses() ? break_loop() : n;
}

INTERPOSED int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout) {
    epoll_wait_fn *real = real_epoll_wait();
    if (real == NULL) {
        errno = ENOSYS;
        return -1;
    }
    const struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
    int n = before_wait(timeout < 0 ? NULL : &limit);
    return n <= 0 ? n : real(epfd, events, maxevents, timeout);
}

/* From libevent 2.2 on; in glibc since 2.35. */
INTERPOSED int epoll_pwait2(int epfd, struct epoll_event *events, int maxevents,
                            const struct timespec *timeout, const sigset_t *mask) {
    epoll_pwait2_fn *real = real_epoll_pwait2();
    if (real == NULL) {
        errno = ENOSYS;
        return -1;
    }
    int n = before_wait(timeout);
    return n <= 0 ? n : real(epfd, events, maxevents, timeout, mask);
}

INTERPOSED int setrlimit(__rlimit_resource_t resource, const struct rlimit *limit) {
    setrlimit_fn *real = real_setrlimit();
    if (real == NULL) {
        errno = ENOSYS;
        return -1;
    }
    if (resource == RLIMIT_NOFILE && program_is_memcached() &&
        program_contains((uintptr_t)__builtin_return_address(0)) && fd_reserve(real, limit)) {
        return 0;
    }
    return real(resource, limit);
}

/* memcached calls this one if it is compiled for large files; on 64-bit machines both are the same.
 */
__attribute__((visibility("default"), alias("setrlimit"))) int
setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);

/*
 * memcached's filters (linux_priv.c) kill a thread, or the process, at the first system call that
 * memcached's own threads do not make, and the library's threads make such calls.  Workers load
 * their filter before their loop.  The main thread loads its filter right before its own loop, when
 * all else is done; a thread made after that would inherit it.
 */
INTERPOSED int seccomp_load(void *filter) {
    seccomp_load_fn *real = real_seccomp_load();
    if (real == NULL) {
        return -ENOSYS;
    }
    if (program_is_memcached()) {
        program_note_seccomp();
        note_ready(NULL);
    }
    return real(filter);
}
