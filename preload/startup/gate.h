/*
 * The gate: whether memcached's main thread sees connections.
 *
 * memcached has bound its addresses before its main thread enters its loop, so a client that
 * connects at once waits in the kernel's backlog.  It is accepted when libevent's epoll_wait says
 * so, which interpose.c defines.  While the gate is closed that call sees no event of any kind and
 * returns when libevent's next timer is due: memcached's clock ticks, and signals end memcached, as
 * always.
 */
#ifndef GATE_H
#define GATE_H

#include <stdbool.h>
#include <time.h>

/* Closes the gate, which is open at first; called before memcached's loop. */
void gate_close(void);
bool gate_is_closed(void);

/* The fixtures are complete: opens the gate. */
void gate_open(void);

/*
 * The fixtures are not complete, and the caller has logged the reason: opens the gate, or, if
 * fixtures are strict, refuses connections, which ends memcached with status 1: its loop fails
 * (memcached.c: main).
 */
void gate_incomplete(bool strict);

/*
 * Connections would be accepted before all fixtures are loaded, for a reason.  Says so and opens
 * the gate; or, if fixtures are strict, says so and refuses connections.
 */
void gate_not_closed(bool strict, const char *reason);
bool gate_refuses(void);

/*
 * Waits at the gate, for as long as epoll_wait with that timeout would; NULL: without end.
 * Returns 1 if epoll_wait is to be called, 0 if the time is over, -1 with errno if the wait failed
 * or connections are refused.
 */
int gate_wait(const struct timespec *timeout);

#endif
