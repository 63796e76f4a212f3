/*
 * Limits under which the Go runtime may end the process: it does so when it gets no memory, while
 * memcached replies "out of memory" and continues.
 */
#include "rlimits.h"

#include "fd.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define CAP_IPC_LOCK 14 /* linux/capability.h */

static bool is_set(int resource) {
    struct rlimit limit;
    return getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
}

/* Is the memory locked (-k), and does a limit apply to it?  See mlock(2), proc(5). */
static bool locked_and_limited(void) {
    char line[256];
    unsigned long long locked = 0, capabilities = 0;
    FILE *status;
    if (!is_set(RLIMIT_MEMLOCK) || (status = fopen("/proc/self/status", "re")) == NULL) {
        return false;
    }
    while (fgets(line, sizeof line, status) != NULL) {
        sscanf(line, "VmLck: %llu", &locked);
        sscanf(line, "CapEff: %llx", &capabilities);
    }
    fclose(status);
    return locked > 0 && (capabilities >> CAP_IPC_LOCK & 1) == 0;
}

const char *rlimits_reason(void) {
    if (fd_first() == 0) {
        return "memcached may open no more files than it has connections (-c), and the door would "
               "use their descriptors; raise the hard limit (ulimit -Hn, LimitNOFILE)";
    }
    if (is_set(RLIMIT_AS) || is_set(RLIMIT_DATA)) {
        return "memcached's memory is limited (ulimit -v, ulimit -d), and the Go runtime ends a "
               "process that reaches such a limit";
    }
    if (locked_and_limited()) {
        return "memcached's memory is locked (-k) up to a limit (ulimit -l), and the Go runtime "
               "ends a process that reaches it";
    }
    return NULL;
}
