/*
 * Fixtures: files whose rows are to be in the cache before memcached accepts its
 * first connection.  Here is what the environment says of them, and the holding
 * back of connections until they are there.
 *
 * memcached has bound its addresses before its main thread enters its loop, so a
 * client that connects at once waits in the kernel's backlog.  It is accepted when
 * libevent's epoll_wait says so, which is ours (interpose.c): while connections are
 * held it sees no event of any kind and comes back when libevent's next timer is
 * due, so that memcached's clock ticks, and signals end memcached, as ever.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static struct {
    const char *paths;
    char directory[PATH_MAX];
    bool strict;
} fixtures;

/* -d changes the directory later: paths are of the one that memcached was started in. */
void fixtures_note(void) {
    const char *strict = secure_getenv("MEMCACHED_BACKDOOR_PRELOAD_STRICT");
    fixtures.strict = strict != NULL && strict[0] != '\0' && strcmp(strict, "0") != 0;
    fixtures.paths = secure_getenv("MEMCACHED_BACKDOOR_PRELOAD");
    if (!fixtures_wanted() || getcwd(fixtures.directory, sizeof fixtures.directory) == NULL) {
        fixtures.directory[0] = '\0';
    }
}

bool fixtures_wanted(void) {
    return fixtures.paths != NULL && fixtures.paths[0] != '\0';
}

bool fixtures_strict(void) {
    return fixtures.strict;
}

const char *fixtures_paths(void) {
    return fixtures_wanted() ? fixtures.paths : "";
}

const char *fixtures_directory(void) {
    return fixtures.directory;
}

/* What becomes of connections; a futex. */
enum { ACCEPTED, HELD, REFUSED };

static atomic_uint connections = ACCEPTED;

static void become(unsigned state) {
    atomic_store(&connections, state);
    syscall(SYS_futex, &connections, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void connections_hold(void) {
    atomic_store(&connections, HELD);
}

bool connections_held(void) {
    return atomic_load(&connections) == HELD;
}

bool connections_refused(void) {
    return atomic_load(&connections) == REFUSED;
}

void fixtures_complete(void) {
    become(ACCEPTED);
}

void fixtures_incomplete(void) {
    if (!fixtures.strict) {
        become(ACCEPTED);
    } else if (!connections_refused()) {
        say("fixtures: memcached ends, for not every row is there "
            "(MEMCACHED_BACKDOOR_PRELOAD_STRICT)");
        become(REFUSED);
    }
}

void fixtures_not_held(const char *why) {
    if (fixtures.strict) {
        say("fixtures: memcached ends, for it would accept connections before they are loaded "
            "(MEMCACHED_BACKDOOR_PRELOAD_STRICT): %s",
            why);
        become(REFUSED);
    } else {
        say("fixtures: connections are accepted before they are loaded: %s", why);
        become(ACCEPTED);
    }
}

/* Of all system calls futex(2) is one that seccomp filters of memcached's leave to its threads. */
int connections_wait(const struct timespec *timeout) {
    if (atomic_load(&connections) == ACCEPTED || !on_main_thread()) {
        return 1;
    }
    long n = 0;
    while (connections_held() && n == 0) {
        n = syscall(SYS_futex, &connections, FUTEX_WAIT_PRIVATE, HELD, timeout, NULL, 0);
        if (n != 0 && errno == EAGAIN) {
            n = 0; /* the state had changed before we waited */
        }
    }
    if (connections_refused()) {
        return -1; /* errno is the caller's affair */
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
    return 1; /* a sandbox forbids the call: nobody is held back */
}
