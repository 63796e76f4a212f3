/* Signal handlers and masks around the two starts of the Go runtime. */
#ifndef SIGNALS_H
#define SIGNALS_H

#include <signal.h>
#include <stdbool.h>

/* Set on every thread that the Go runtime made, and on the one that enters it. */
extern __thread bool is_go_thread __attribute__((tls_model("initial-exec")));

/*
 * Around Go's initialiser: saves and restores all handlers and the mask.  In between signals are
 * blocked, for Go takes the mask that it finds as the mask of all its threads.
 */
void signals_save(void);
void signals_restore(void);

/*
 * Around the creation of Go's threads: they inherit the mask, and unblock what Go handles when they
 * can handle it (runtime/signal_unix.go: minitSignalMask).  memcached's main thread never unblocks
 * a signal that memcached was started with blocked.
 */
void signals_block(sigset_t *saved);
void signals_unblock(const sigset_t *saved);

/*
 * Installs Go's handlers, before its first thread exists, which unblocks their signals; none for
 * signals for which memcached has one.  Removes them, if there is no such thread.
 */
void signals_install_go(void);
void signals_remove_go(void);

#endif
