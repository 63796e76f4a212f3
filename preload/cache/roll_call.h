/* The roll call: has every worker of memcached been in its loop since it began? */
#ifndef ROLL_CALL_H
#define ROLL_CALL_H

#include "worker.h"

enum roll_call {
    ROLL_CALL_COMPLETE,
    ROLL_CALL_AWAITED,
    ROLL_CALL_UNKNOWN, /* there are workers that cannot be called */
};

/* Begins a roll call, which replaces the last one; for the worker that has the turn. */
void roll_call_begin(void);

/* The worker is in its loop. */
void roll_call_answer(struct backdoor_worker *worker);

/* The state of the last roll call; for the worker that has the turn. */
enum roll_call roll_call_state(void);

#endif
