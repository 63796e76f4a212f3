/*
 * The signals that end memcached (its `shutdown` command raises them, too) are handled here first.
 * memcached serves as before until the cache has been saved, or the time for that is over; then
 * the signal is sent again and passed to memcached's own handler.  A second signal in the meantime
 * is passed on at once.
 */
#include "shutdown.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGUSR1};
#define ENDS (sizeof ends / sizeof ends[0])

static struct sigaction originals[ENDS];

/* The signal that was received, or 0; a futex, since memcached's seccomp filters allow its threads
 * little else. */
static atomic_int received;

static void on_end(int sig) {
    int none = 0, saved = errno;
    if (atomic_compare_exchange_strong(&received, &none, sig)) {
        syscall(SYS_futex, &received, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    } else {
        for (size_t i = 0; i < ENDS; i++) {
            if (ends[i] == sig) {
                originals[i].sa_handler(sig);
            }
        }
    }
    errno = saved;
}

static void watch(void) {
    for (size_t i = 0; i < ENDS; i++) {
        struct sigaction *original = &originals[i];
        if (sigaction(ends[i], NULL, original) != 0 || (original->sa_flags & SA_SIGINFO) != 0 ||
            original->sa_handler == SIG_DFL || original->sa_handler == SIG_IGN) {
            continue; /* memcached has no handler of its own for it */
        }
        struct sigaction action = *original;
        action.sa_handler = on_end;
        sigaction(ends[i], &action, NULL);
    }
}

void shutdown_await(void) {
    watch();
    while (atomic_load(&received) == 0) {
        syscall(SYS_futex, &received, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

void shutdown_proceed(void) {
    syscall(SYS_tgkill, getpid(), getpid(), atomic_load(&received));
}
