/*
 * The names that stand in front of libc's and libevent's.  All of it is C, for Go
 * behind a libc name deadlocks; the real function is looked up when first needed,
 * since other libraries' constructors may call before ours has run.
 *
 *   pthread_create    tells memcached's worker threads from its others
 *   event_base_loop   the moment when memcached is ready (main thread), and the
 *                     place where a worker takes our event into its base
 *   epoll_wait        that moment where libevent is part of the program, and the
 *                     place where connections are held back while fixtures load
 *   epoll_pwait2      the same, in libevent 2.2
 *   setrlimit         where memcached limits its open files to its connections: what we
 *                     need is set aside there (descriptors.c)
 *   seccomp_load      that moment where the main thread gives up system calls
 *                     first; a worker that does so cannot serve us
 *
 * exports.map lists the same names; nothing else of the library is visible.
 */
#include "preload.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef int event_base_loop_fn(struct event_base *base, int flags);
typedef const char *event_base_get_method_fn(const struct event_base *base);
typedef int event_base_loopbreak_fn(struct event_base *base);
typedef int epoll_wait_fn(int epfd, struct epoll_event *events, int maxevents, int timeout);
typedef int epoll_pwait2_fn(int epfd, struct epoll_event *events, int maxevents,
                            const struct timespec *timeout, const sigset_t *mask);
typedef int seccomp_load_fn(void *filter);

static pthread_create_fn *_Atomic real_create;
static event_base_loop_fn *_Atomic real_loop;
static epoll_wait_fn *_Atomic real_wait;
static epoll_pwait2_fn *_Atomic real_pwait2;
static seccomp_load_fn *_Atomic real_load;
static setrlimit_fn *_Atomic real_setrlimit;

static atomic_bool filtered;

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
    int wake;     /* its eventfd, or -1 */
};

/* On a worker, until its first event_base_loop; fn is NULL from then on. */
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
    *start = (struct worker_start){
        fn, arg, descriptors_from() != 0 ? backdoor_worker_wake(descriptors_from()) : -1};
    int err = real(thread, attr, start_worker, start);
    if (err != 0) {
        if (start->wake >= 0) {
            close(start->wake);
        }
        free(start);
    }
    return err;
}

/* Why the main thread's connections cannot be held back, or NULL. */
static const char *holding_objection(const struct event_base *base) {
    const char *objection = workers_objection();
    if (objection != NULL) {
        return objection; /* rows go by protocol, over a connection */
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

/* The main thread's, of its loop; NULL where libevent is part of the program.  Only the main thread
 * touches it. */
static struct event_base *main_base;

/*
 * Asked of the kernel once on each thread, before that loads a filter (seccomp_load): memcached's
 * filters forbid the question (linux_priv.c), and each event of a client's would cost it.
 */
bool on_main_thread(void) {
    static __thread enum { NOT_ASKED, YES, NO } answer __attribute__((tls_model("initial-exec")));
    if (answer == NOT_ASKED) {
        answer = gettid() == getpid() ? YES : NO;
    }
    return answer == YES;
}

/*
 * On any thread; on memcached's main thread, for the first time, it is ready.  base is its
 * loop's, where that is known.
 */
static void note_ready(struct event_base *base) {
    static atomic_bool ready;
    if (!atomic_load(&ready) && on_main_thread()) {
        atomic_store(&ready, true);
        memcached_ready(holding_objection(base));
    }
}

/* memcached ends with status 1 when this fails (memcached.c: main). */
static int run_main(event_base_loop_fn *real, struct event_base *base, int flags) {
    note_ready(base);
    main_base = base;
    int result = connections_refused() ? -1 : real(base, flags);
    return connections_refused() ? -1 : result;
}

/* On a worker that is about to enter its loop. */
static void enter_worker(struct event_base *base) {
    struct worker_start start = starting;
    starting.fn = NULL;
    if (start.wake < 0) {
        return;
    }
    if (is_base_of(start.thread, base) && !seccomp_loaded()) {
        backdoor_worker_enter(start.thread, base, start.wake);
    } else {
        close(start.wake);
    }
}

__attribute__((visibility("default"))) int event_base_loop(struct event_base *base, int flags) {
    event_base_loop_fn *real = atomic_load(&real_loop);
    if (real == NULL) {
        real = (event_base_loop_fn *)dlsym(RTLD_NEXT, "event_base_loop");
        if (real == NULL) {
            return -1;
        }
        atomic_store(&real_loop, real);
    }
    if (host_is_memcached()) {
        if (starting.fn != NULL) {
            enter_worker(base);
        } else if (on_main_thread()) {
            return run_main(real, base, flags);
        }
    }
    return real(base, flags);
}

/*
 * Makes the main thread's loop end, from epoll_wait, and answers what that is to return.  libevent
 * warns of every error there but EINTR (epoll.c: epoll_dispatch), so it gets that one, and
 * event_base_loop returns for another reason.  Where libevent is part of the program it
 * cannot be asked, and warns.
 */
static int refuse_connections(void) {
    event_base_loopbreak_fn *loopbreak =
        (event_base_loopbreak_fn *)dlsym(RTLD_DEFAULT, "event_base_loopbreak");
    bool ends = main_base != NULL && loopbreak != NULL && loopbreak(main_base) == 0;
    errno = ends ? EINTR : ECANCELED;
    return -1;
}

/* libevent waits in its loop with one of the next two and nowhere else (epoll.c).  Answers 1, or
 * what the call is to return. */
static int before_wait(const struct timespec *timeout) {
    if (!host_is_memcached()) {
        return 1;
    }
    if (!host_links_libevent()) {
        note_ready(NULL);
    }
    int n = connections_wait(timeout);
    return n < 0 && connections_refused() ? refuse_connections() : n;
}

__attribute__((visibility("default"))) int epoll_wait(int epfd, struct epoll_event *events,
                                                      int maxevents, int timeout) {
    epoll_wait_fn *real = atomic_load(&real_wait);
    if (real == NULL) {
        real = (epoll_wait_fn *)dlsym(RTLD_NEXT, "epoll_wait");
        if (real == NULL) {
            errno = ENOSYS;
            return -1;
        }
        atomic_store(&real_wait, real);
    }
    const struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
    int n = before_wait(timeout < 0 ? NULL : &limit);
    return n <= 0 ? n : real(epfd, events, maxevents, timeout);
}

/* From libevent 2.2 on; in glibc since 2.35. */
__attribute__((visibility("default"))) int epoll_pwait2(int epfd, struct epoll_event *events,
                                                        int maxevents,
                                                        const struct timespec *timeout,
                                                        const sigset_t *mask) {
    epoll_pwait2_fn *real = atomic_load(&real_pwait2);
    if (real == NULL) {
        real = (epoll_pwait2_fn *)dlsym(RTLD_NEXT, "epoll_pwait2");
        if (real == NULL) {
            errno = ENOSYS;
            return -1;
        }
        atomic_store(&real_pwait2, real);
    }
    int n = before_wait(timeout);
    return n <= 0 ? n : real(epfd, events, maxevents, timeout, mask);
}

__attribute__((visibility("default"))) int setrlimit(__rlimit_resource_t resource,
                                                     const struct rlimit *limit) {
    setrlimit_fn *real = atomic_load(&real_setrlimit);
    if (real == NULL) {
        real = (setrlimit_fn *)dlsym(RTLD_NEXT, "setrlimit");
        if (real == NULL) {
            errno = ENOSYS;
            return -1;
        }
        atomic_store(&real_setrlimit, real);
    }
    if (resource == RLIMIT_NOFILE && host_is_memcached() &&
        host_contains((uintptr_t)__builtin_return_address(0)) &&
        descriptors_set_aside(real, limit)) {
        return 0;
    }
    return real(resource, limit);
}

/* What memcached calls where it is compiled for large files: the same on 64-bit machines. */
__attribute__((visibility("default"), alias("setrlimit"))) int
setrlimit64(__rlimit_resource_t resource, const struct rlimit64 *limit);

/*
 * memcached's filters (linux_priv.c) kill a thread, or the process, at the first
 * system call that its threads are not known to make, and ours make such.  Workers
 * load theirs before their loop; the main thread does right before its own, when
 * all else is done, and a thread made after that would inherit the filter.
 */
__attribute__((visibility("default"))) int seccomp_load(void *filter) {
    seccomp_load_fn *real = atomic_load(&real_load);
    if (real == NULL) {
        real = (seccomp_load_fn *)dlsym(RTLD_NEXT, "seccomp_load");
        if (real == NULL) {
            return -ENOSYS;
        }
        atomic_store(&real_load, real);
    }
    if (host_is_memcached()) {
        on_main_thread();
        atomic_store(&filtered, true);
        note_ready(NULL);
    }
    return real(filter);
}

bool seccomp_loaded(void) {
    return atomic_load(&filtered);
}

const char *workers_objection(void) {
    if (!host_links_libevent()) {
        return "libevent is linked statically, so that memcached's workers cannot be reached";
    }
    if (seccomp_loaded()) {
        return "memcached's workers have given up the system calls that it takes (-o "
               "drop_privileges)";
    }
    return NULL;
}
