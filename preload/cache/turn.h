/* The turn: which of memcached's workers runs jobs. */
#ifndef TURN_H
#define TURN_H

/* libevent's callback of a worker's eventfd: runs jobs for a slice, if there are any and the
 * worker, arg, has the turn or helps. */
void turn_serve(int fd, short events, void *arg);

/* A worker is alive: it takes the turn if no other has it. */
void turn_offer(int index);

/* A worker is no longer alive. */
void turn_leave(int index);

#endif
