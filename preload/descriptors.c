/*
 * Descriptors of our own, which memcached never misses.
 *
 * memcached lowers the limit of open files, the hard one too, to the number of its
 * connections (memcached.c: main).  The highest number that this leaves is the one on which it
 * accepts a connection to refuse it ("Too many open connections", drive_machine); where that is
 * taken, accept fails with EMFILE, and memcached stops listening.  So when it sets the limit we
 * set it higher, by what we need, as it could have been started with a larger -c: the numbers
 * above its own are ours.  What stays open for long is moved there, and what is opened while
 * memcached is full comes to lie there.  memcached sizes its table of connections by that
 * limit (conn_init), so that it has room for every number.
 *
 * To 1.4.39, or with -o no_maxconns_fast, memcached refuses nobody and accepts until there is
 * no number left: then it can have our numbers before we do, and calls wait.
 */
#include "preload.h"

#include <fcntl.h>
#include <unistd.h>

/* What stays open: the door, a worker's eventfd each (worker.c: MAX_WORKERS), the Go runtime's two,
 * the poller's; and connections without a request, which have no place yet (places.go). */
#define DESCRIPTORS_STAYING (32 + 17)
/* A quarter of memcached's own for calls; at least 4 and at most 128 calls of up to 7 each
 * (engine.go). */
#define DESCRIPTORS_LEAST (4 * 7)
#define DESCRIPTORS_MOST (128 * 7)

/* Written once, by memcached's main thread before it makes another; rlim_cur is memcached's, ours
 * are from there on. */
static rlim_t memcacheds, ours;

static rlim_t wanted(rlim_t connections) {
    rlim_t calls = connections / 4;
    calls = calls < DESCRIPTORS_LEAST ? DESCRIPTORS_LEAST : calls;
    return DESCRIPTORS_STAYING + (calls > DESCRIPTORS_MOST ? DESCRIPTORS_MOST : calls);
}

static bool raise_by(setrlimit_fn *real, rlim_t connections, rlim_t more) {
    const struct rlimit limit = {connections + more, connections + more};
    if (more < DESCRIPTORS_STAYING + DESCRIPTORS_LEAST || real(RLIMIT_NOFILE, &limit) != 0) {
        return false;
    }
    memcacheds = connections;
    ours = more;
    return true;
}

bool descriptors_set_aside(setrlimit_fn *real, const struct rlimit *asked) {
    struct rlimit now;
    if (memcacheds != 0 || asked->rlim_cur != asked->rlim_max || asked->rlim_cur > INT32_MAX ||
        getrlimit(RLIMIT_NOFILE, &now) != 0) {
        return false;
    }
    rlim_t connections = asked->rlim_cur, more = wanted(connections);
    if (raise_by(real, connections, more)) {
        return true;
    }
    /* Without CAP_SYS_RESOURCE: as far as the hard limit goes. */
    return now.rlim_max > connections && now.rlim_max - connections < more &&
           raise_by(real, connections, now.rlim_max - connections);
}

unsigned descriptors_for_calls(void) {
    return ours == 0 ? 0 : (unsigned)ours - DESCRIPTORS_STAYING;
}

int descriptors_from(void) {
    return ours == 0 ? 0 : (int)memcacheds;
}

int high_descriptor(int fd) {
    struct rlimit limit;
    int from = descriptors_from();
    if (from == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= 64) {
        /* It is not known yet how many connections there are to be. */
        from = (limit.rlim_cur < 1024 ? (int)limit.rlim_cur : 1024) - 16;
    }
    int high = fd < from ? fcntl(fd, F_DUPFD_CLOEXEC, from) : -1;
    if (high < 0) {
        return fd;
    }
    close(fd);
    return high;
}
