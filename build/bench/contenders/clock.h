#ifndef CLOCK_H
#define CLOCK_H

#include <time.h>

/* Seconds of CLOCK_MONOTONIC. */
static inline double now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#endif
