/*
 * File descriptors that memcached never misses.
 *
 * memcached lowers the limit of open files, the hard limit too, to the number of its connections
 * (memcached.c: main).  It accepts a connection that it will refuse ("Too many open connections",
 * drive_machine) on the highest number that the limit leaves.  If that number is taken, accept
 * fails with EMFILE and memcached stops listening.  So when memcached sets the limit, fd_reserve
 * sets it higher, as if memcached had been started with a larger -c: the numbers above memcached's
 * own are the library's.  Descriptors that stay open for long are moved there, and descriptors that
 * are opened while memcached is full get numbers there.  memcached sizes its table of connections
 * by that limit (conn_init), so the table has room for every number.
 *
 * Up to 1.4.39, or with -o no_maxconns_fast, memcached refuses no connection and accepts until no
 * number is left.  Then it can take the reserved numbers first, and calls wait.
 */
#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* Open for the life of the process: the door, an eventfd for each worker (cache/worker.h:
 * MAX_WORKERS), two of the Go runtime, the poller's, and connections that have not sent a request
 * yet (server/places.go). */
#define PERMANENT (32 + 17)
/* For calls: a quarter of memcached's own number, enough for 4 to 128 calls that use up to 7
 * descriptors each (server: descriptorsPerCall). */
#define CALLS_LEAST (4 * 7)
#define CALLS_MOST (128 * 7)

/* Written once, by memcached's main thread before it makes another.  The reserved numbers start at
 * connections. */
static rlim_t connections, reserved;

static rlim_t wanted(rlim_t asked) {
    rlim_t calls = asked / 4;
    calls = calls < CALLS_LEAST ? CALLS_LEAST : calls;
    return PERMANENT + (calls > CALLS_MOST ? CALLS_MOST : calls);
}

static bool raise_limit(setrlimit_fn *real, rlim_t asked, rlim_t more) {
    const struct rlimit limit = {asked + more, asked + more};
    if (more < PERMANENT + CALLS_LEAST || real(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    connections = asked;
    reserved = more;
    return true;
}

bool fd_reserve(setrlimit_fn *real, const struct rlimit *asked) {
    struct rlimit now;
    if (connections != 0 || asked->rlim_cur != asked->rlim_max || asked->rlim_cur > INT32_MAX ||
        getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return false;
    }
    rlim_t least = asked->rlim_cur, more = wanted(least);
    if (raise_limit(real, least, more)) {
        return true;
    }
    /* Without CAP_SYS_RESOURCE the hard limit is the most that can be had. */
    return now.rlim_max > least && now.rlim_max - least < more &&
           raise_limit(real, least, now.rlim_max - least);
}

unsigned fd_for_calls(void) {
    return reserved == 0 ? 0 : (unsigned)reserved - PERMANENT;
}

int fd_first(void) {
    return reserved == 0 ? 0 : (int)connections;
}

int fd_move_high(int fd) {
    struct rlimit limit;
    int from = fd_first();
    if (from == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 64) {
        /* memcached has not set its limit yet. */
        from = (limit.rlim_cur < 1024 ? (int)limit.rlim_cur : 1024) - 16;
    }
    int high = fd < from ? fcntl(fd, F_DUPFD_CLOEXEC, from) : -1;
    if (high < 0) {
        return fd;
    }
    close(fd);
    return high;
}

bool absolute_path(char *to, size_t room, const char *path) {
    char directory[PATH_MAX] = "";
    to[0] = '\0';
    if (path[0] != '/' && getcwd(directory, sizeof directory) == NULL) {
        return false;
    }
    int n = snprintf(to, room, "%s%s%s", directory, path[0] == '/' ? "" : "/", path);
    if (n < 0 || (size_t)n >= room) {
        to[0] = '\0';
        errno = ENAMETOOLONG;
        return false;
    }
    return true;
}
