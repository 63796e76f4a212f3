/*
 * Keeping Go's signal handling to Go's threads.
 *
 * Go's initialiser replaces the handlers of five signals when the library is
 * loaded (runtime/signal_unix.go: initsig).  We put back what stood, and give Go
 * the ones it cannot live without only when its threads exist, behind a handler
 * that lets a fault of any other thread end the process as it always would.
 */
#include "preload.h"

static struct sigaction before[NSIG], go[NSIG];
static sigset_t mask;

/* Faults become Go panics, which our goroutines recover; SIGURG preempts goroutines. */
static const int gos[] = {SIGSEGV, SIGBUS, SIGFPE, SIGURG};

/* Every signal but Go's own and those that a fault raises in the thread itself. */
static void block(sigset_t *saved) {
    sigset_t all;
    sigfillset(&all);
    for (size_t i = 0; i < sizeof gos / sizeof gos[0]; i++) {
        sigdelset(&all, gos[i]);
    }
    pthread_sigmask(SIG_SETMASK, &all, saved);
}

/* Before Go's initialiser.  It takes the mask that it finds as that of all its threads. */
void signals_note(void) {
    for (int sig = 1; sig < NSIG; sig++) {
        sigaction(sig, NULL, &before[sig]);
    }
    block(&mask);
}

static bool same(const struct sigaction *a, const struct sigaction *b) {
    return a->sa_sigaction == b->sa_sigaction && a->sa_flags == b->sa_flags;
}

/* After Go's initialiser. */
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
    if (thread_is_gos) {
        go[sig].sa_sigaction(sig, info, context);
        return;
    }
    if (sig == SIGURG) {
        return; /* its default is to be ignored */
    }
    /* Not ours: the default action, at the instruction that faulted or for the signal sent. */
    signal(sig, SIG_DFL);
    raise(sig);
}

/* When the Go runtime's first thread is made.  Where memcached has a handler, Go gets none. */
void signals_give_to_go(void) {
    for (size_t i = 0; i < sizeof gos / sizeof gos[0]; i++) {
        struct sigaction now, ours = go[gos[i]];
        bool is_handler = (ours.sa_flags & SA_SIGINFO) && ours.sa_sigaction != NULL;
        if (!is_handler || sigaction(gos[i], NULL, &now) != 0 || now.sa_handler != SIG_DFL) {
            continue;
        }
        ours.sa_sigaction = on_signal;
        sigaction(gos[i], &ours, NULL);
    }
}
