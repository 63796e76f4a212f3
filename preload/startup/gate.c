#define _GNU_SOURCE
#include "gate.h"

#include "log.h"
#include "program.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { OPEN, CLOSED, REFUSING };

/* A futex: of all system calls futex(2) is one that memcached's seccomp filters allow its threads.
 */
static atomic_uint gate = OPEN;

static void become(unsigned state) {
    atomic_store(&gate, state);
    syscall(SYS_futex, &gate, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void gate_close(void) {
    atomic_store(&gate, CLOSED);
}

bool gate_is_closed(void) {
    return atomic_load(&gate) == CLOSED;
}

bool gate_refuses(void) {
    return atomic_load(&gate) == REFUSING;
}

void gate_open(void) {
    become(OPEN);
}

void gate_incomplete(bool strict) {
    if (!strict) {
        become(OPEN);
    } else if (!gate_refuses()) {
        say("fixtures: memcached ends, for not every row is there "
            "(MEMCACHED_BACKDOOR_PRELOAD_STRICT)");
        become(REFUSING);
    }
}

void gate_not_closed(bool strict, const char *reason) {
    if (strict) {
        say("fixtures: memcached ends, for it would accept connections before they are loaded "
            "(MEMCACHED_BACKDOOR_PRELOAD_STRICT): %s",
            reason);
        become(REFUSING);
    } else {
        say("fixtures: connections are accepted before they are loaded: %s", reason);
        become(OPEN);
    }
}

int gate_wait(const struct timespec *timeout) {
    if (atomic_load(&gate) == OPEN || !on_main_thread()) {
        return 1;
    }
    long n = 0;
    while (gate_is_closed() && n == 0) {
        n = syscall(SYS_futex, &gate, FUTEX_WAIT_PRIVATE, CLOSED, timeout, NULL, 0);
        if (n != 0 && errno == EAGAIN) {
            n = 0; /* the state had changed before the wait */
        }
    }
    if (gate_refuses()) {
        return -1; /* the caller sets errno */
    }
    if (n == 0) {
        return 1;
    }
    switch (errno) {
    case ETIMEDOUT:
        return 0;
    case EINTR: /* as of epoll_wait */
        return -1;
    }
    return 1; /* a sandbox forbids the call: no connection is held back */
}
