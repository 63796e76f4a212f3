/*
 * The Go runtime, held back.
 *
 * Go's initialiser asks for the runtime's first thread when the library is loaded.  A thread made
 * then would not survive memcached's -d.  So the request is kept, answered with success, and
 * carried out when memcached is ready.
 *
 * The library is linked with --wrap=pthread_create: Go's calls of that name arrive here,
 * memcached's in interpose.c.
 */
#define _GNU_SOURCE
#include "runtime.h"

#include "log.h"
#include "real.h"
#include "signals.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <time.h>
#include <unistd.h>

struct start {
    start_fn *fn;
    void *arg;
};

static bool holding;
static struct start held;

static void *start_go_thread(void *arg) {
    struct start start = *(struct start *)arg;
    free(arg);
    is_go_thread = true;
    return start.fn(start.arg);
}

static int create(pthread_t *thread, const pthread_attr_t *attr, start_fn *fn, void *arg) {
    pthread_create_fn *real = real_pthread_create();
    struct start *start = malloc(sizeof *start);
    if (real == NULL || start == NULL) {
        free(start);
        return EAGAIN;
    }
    *start = (struct start){fn, arg};
    int err = real(thread, attr, start_go_thread, start);
    if (err != 0) {
        free(start);
    }
    return err;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, start_fn *fn, void *arg) {
    if (holding) {
        held = (struct start){fn, arg};
        return 0;
    }
    /* runtime/cgo aborts the process when it gets no thread.  A Go thread can wait instead. */
    const struct timespec pause = {0, 10 * 1000 * 1000};
    static atomic_bool said;
    int err;
    while ((err = create(thread, attr, fn, arg)) == EAGAIN) {
        if (!atomic_exchange(&said, true)) {
            say("the door waits: no further thread can be made (ulimit -u)");
        }
        nanosleep(&pause, NULL);
    }
    return err;
}

/*
 * What Go's initialiser is called with: a vector as execve(2) leaves it on a process's stack,
 * with one argument, an environment, and an auxiliary vector.  The runtime keeps its address, and
 * reads it on the thread that is held back (runtime/os_linux.go: sysargs, runtime1.go: goenvs).
 *
 * Go does not get memcached's own environment.  Variables for another program, or for another Go
 * library in this one (GOMEMLIMIT, GODEBUG, GOTRACEBACK), would change what the runtime does, or
 * end the process; and new releases read more names.  So Go gets only the variables that the
 * library's code reads, and memcached's environment is unchanged.
 */
static const char *const passed[] = {
    "TMPDIR=",                  /* os.CreateTemp */
    "MEMCACHED_BACKDOOR_FAULT=" /* fault/fault.go */
};
/* All that the runtime reads: os_linux.go: sysauxv, vdso_linux.go, os_linux_arm64.go. */
static const unsigned long tags[] = {AT_PAGESZ, AT_RANDOM, AT_SECURE, AT_HWCAP, AT_SYSINFO_EHDR};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static uintptr_t vector[2 + COUNT(passed) + 1 + 2 * (COUNT(tags) + 1)];

static char *variable(const char *name) {
    for (char **e = environ; e != NULL && *e != NULL; e++) {
        if (strncmp(*e, name, strlen(name)) == 0) {
            return *e;
        }
    }
    return NULL;
}

void runtime_initialize(go_initializer *go) {
    static char name[] = "backdoor.so";
    size_t n = 0;
    vector[n++] = (uintptr_t)name;
    vector[n++] = 0;
    char **envp = (char **)&vector[n];
    for (size_t i = 0; i < COUNT(passed); i++) {
        char *found = variable(passed[i]);
        if (found != NULL) {
            vector[n++] = (uintptr_t)found;
        }
    }
    vector[n++] = 0;
    for (size_t i = 0; i < COUNT(tags); i++) {
        vector[n++] = tags[i];
        vector[n++] = getauxval(tags[i]);
    }
    holding = true;
    go(1, (char **)vector, envp); /* AT_NULL is there already: the vector is static */
    holding = false;
}

bool runtime_is_held(void) {
    return held.fn != NULL;
}

int runtime_start(start_fn *enter) {
    sigset_t saved;
    pthread_t thread;
    pthread_attr_t attr;
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    signals_block(&saved);
    signals_install_go();
    int err = create(&thread, &attr, held.fn, held.arg);
    if (err == 0) {
        err = create(&thread, &attr, enter, NULL);
    } else {
        signals_remove_go();
    }
    signals_unblock(&saved);
    pthread_attr_destroy(&attr);
    return err;
}
