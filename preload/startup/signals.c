/*
 * Keeping Go's signal handling to Go's threads.
 *
 * Go's initialiser replaces the handlers of five signals when the library is loaded
 * (runtime/signal_unix.go: initsig).  signals_restore restores the previous ones.  Go gets the
 * handlers that it needs only when its threads exist, behind a handler that lets a fault of any
 * other thread end the process as it always would.
 */
#include "signals.h"

#include <pthread.h>

__thread bool is_go_thread __attribute__((tls_model("initial-exec")));

static struct sigaction before[NSIG], go[NSIG];
static sigset_t mask;

/* Faults become Go panics, which the library's goroutines recover; SIGURG preempts goroutines. */
static const int go_signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGURG};

/* Every signal but Go's own and those that a fault raises in the thread itself. */
static void block(sigset_t *saved) {
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof go_signals / sizeof go_signals[0]; i++) {
        sigdelset(&all, go_signals[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, saved);
}

void signals_save(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        sigaction(sig, NULL, &before[sig]);
    }
    block(&mask);
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
    pthread_sigmask(SIG_SETMASK, &mask, NULL);
}

void signals_mask_thread(sigset_t *saved) {
    block(saved);
}

void signals_unmask(const sigset_t *saved) {
    pthread_sigmask(SIG_SETMASK, saved, NULL);
}

static void on_signal(int sig, siginfo_t *info, void *context) {
    if (is_go_thread) {
        go[sig].sa_sigaction(sig, info, context);
        return;
    }
    if (sig == SIGURG) {
        return; /* its default is to be ignored */
    }
    /* Not a Go thread: the default action, at the instruction that faulted or for the signal sent.
     */
    signal(sig, SIG_DFL);
    raise(sig);
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
