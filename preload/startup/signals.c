/*
 * Keeping Go's signal handling to Go's threads.
 *
 * Go's initialiser replaces the handlers of five signals when the library is loaded
 * (runtime/signal_unix.go: initsig).  signals_restore restores the previous ones.  Go gets the
 * handlers that it needs only when its threads exist, behind a handler that lets a fault of any
 * other thread, and a signal that is sent, end the process as it always would.
 */
#define _GNU_SOURCE
#include "signals.h"

#include <errno.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

__thread bool is_go_thread __attribute__((tls_model("initial-exec")));

static struct sigaction before[NSIG], go[NSIG];
static sigset_t mask;

/* Faults become Go panics, which the library's goroutines recover; SIGURG preempts goroutines. */
static const int go_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGURG};

void signals_block(sigset_t *saved) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, saved);
}

void signals_unblock(const sigset_t *saved) {
    pthread_sigmask(SIG_SETMASK, saved, NULL);
}

void signals_save(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        sigaction(sig, NULL, &before[sig]);
    }
    signals_block(&mask);
}

static bool same(const struct sigaction *a, const struct sigaction *b) {
    return a->sa_sigaction == b->sa_sigaction && a->sa_flags == b->sa_flags;
}

void signals_restore(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigaction(sig, NULL, &go[sig]) == 0 && !same(&go[sig], &before[sig])) {
            sigaction(sig, &before[sig], NULL);
        }
    }
    signals_unblock(&mask);
}

/* Did no instruction of the thread raise the signal?  It came from kill(2) or tgkill(2)
 * (sigaction(2): si_code), or is the kernel's note of memory that failed elsewhere. */
static bool was_sent(int sig, const siginfo_t *info) {
    return info->si_code <= 0 || (sig == SIGBUS && info->si_code == BUS_MCEERR_AO);
}

/*
 * A signal that is sent to the process is taken by any thread that does not block it: mostly the
 * main thread, but also one that looks at its signals first, or that the kernel picks while the
 * main thread blocks all, as in glibc's pthread_create (signal(7); the kernel's signal.c:
 * complete_signal, dequeue_signal).  Go's threads cannot block these signals: a fault whose signal
 * is blocked ends the process.  So one of them may take a signal that is memcached's, and Go would
 * end the process with a message and a status of its own, also if memcached blocks the signal.
 *
 * Such a signal is passed to memcached's main thread: it waits there as long as it is blocked, and
 * else ends the process.  None is Go's: of these signals Go sends its threads SIGURG only.
 */
static void on_signal(int sig, siginfo_t *info, void *context) {
    if (is_go_thread && (sig == SIGURG || !was_sent(sig, info))) {
        go[sig].sa_sigaction(sig, info, context);
        return;
    }
    if (sig == SIGURG) {
        return; /* its default is to be ignored */
    }
    if (is_go_thread) {
        int saved = errno;
        syscall(SYS_tgkill, getpid(), getpid(), sig);
        errno = saved;
        return;
    }
    /* The default action: the instruction faults again when this returns, a signal that was sent is
     * sent again. */
    signal(sig, SIG_DFL);
    if (was_sent(sig, info)) {
        raise(sig);
    }
}

void signals_install_go(void) {
    for (size_t i = 0; i < sizeof go_signals / sizeof go_signals[0]; i++) {
        struct sigaction now, action = go[go_signals[i]];
        bool is_handler = (action.sa_flags & SA_SIGINFO) && action.sa_sigaction != NULL;
        if (!is_handler || sigaction(go_signals[i], NULL, &now) != 0 || now.sa_handler != SIG_DFL) {
            continue;
        }
        action.sa_sigaction = on_signal;
        sigaction(go_signals[i], &action, NULL);
    }
}

void signals_remove_go(void) {
    for (size_t i = 0; i < sizeof go_signals / sizeof go_signals[0]; i++) {
        struct sigaction now;
        if (sigaction(go_signals[i], NULL, &now) == 0 && now.sa_sigaction == on_signal) {
            signal(go_signals[i], SIG_DFL);
        }
    }
}
