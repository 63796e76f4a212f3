/*
 * Saving the cache when memcached is told to end.
 *
 * The signals that end memcached (its `shutdown` command raises them, too) come to us
 * first.  memcached goes on as ever until the cache has been saved, or the time for that is
 * over; then the signal is sent once more and handed on to memcached's own handler.  A
 * second signal meanwhile is handed on at once.
 */
#include "preload.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const int ends[] = {SIGINT, SIGTERM, SIGUSR1};
#define ENDS (sizeof ends / sizeof ends[0])

static char save_path[PATH_MAX];
static struct sigaction memcacheds[ENDS];

/* The signal that came; a futex, since a filter of memcached's (seccomp) leaves its threads little
 * else. */
static atomic_int came;

void save_note(void) {
    const char *path = secure_getenv("MEMCACHED_BACKDOOR_SAVE");
    if (path != NULL && path[0] != '\0' && !absolute_path(save_path, sizeof save_path, path)) {
        say("nothing will be saved: the path of MEMCACHED_BACKDOOR_SAVE: %s", strerror(errno));
    }
}

bool save_wanted(void) {
    return save_path[0] != '\0';
}

const char *save_file(void) {
    return save_path;
}

/* Seconds; 0 where it says no such number. */
int save_limit(void) {
    const char *text = secure_getenv("MEMCACHED_BACKDOOR_SAVE_LIMIT");
    char *end;
    if (text == NULL) {
        return 60;
    }
    long seconds = strtol(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == '\0' && seconds < INT_MAX ? (int)seconds : 0;
}

static void on_end(int sig) {
    int none = 0, saved = errno;
    if (atomic_compare_exchange_strong(&came, &none, sig)) {
        syscall(SYS_futex, &came, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    } else {
        for (size_t i = 0; i < ENDS; i++) {
            if (ends[i] == sig) {
                memcacheds[i].sa_handler(sig);
            }
        }
    }
    errno = saved;
}

static void watch(void) {
    for (size_t i = 0; i < ENDS; i++) {
        struct sigaction *theirs = &memcacheds[i];
        if (sigaction(ends[i], NULL, theirs) != 0 || (theirs->sa_flags & SA_SIGINFO) != 0 ||
            theirs->sa_handler == SIG_DFL || theirs->sa_handler == SIG_IGN) {
            continue; /* it does not end memcached in its own way */
        }
        struct sigaction ours = *theirs;
        ours.sa_handler = on_end;
        sigaction(ends[i], &ours, NULL);
    }
}

void save_await(void) {
    watch();
    while (atomic_load(&came) == 0) {
        syscall(SYS_futex, &came, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
}

void save_done(void) {
    syscall(SYS_tgkill, getpid(), getpid(), atomic_load(&came));
}
