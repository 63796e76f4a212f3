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

/* Around the creation of Go's threads, which inherit the mask. */
void signals_mask_thread(sigset_t *saved);
void signals_unmask(const sigset_t *saved);

/* Installs Go's handlers, when its first thread exists; none for signals for which memcached has
 * one. */
void signals_install_go(void);

#endif
