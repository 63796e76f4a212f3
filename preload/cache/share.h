/* Sharing the job that one worker runs with a second worker, the helper. */
#ifndef SHARE_H
#define SHARE_H

#include "worker.h"

/* For the worker that has the turn: */

/* Lets the next worker after holder help with job.  Returns false if there is none. */
bool share_begin(struct backdoor_job *job, const struct backdoor_worker *holder);

/* There is more to do for the helper. */
void share_wake(void);

/* Ends the sharing of job.  Returns false while the helper works on it. */
bool share_end(struct backdoor_job *job);

/* For the other workers: */

bool share_is_helper(int index);

/* Helps with the shared job for a slice.  Returns whether there is more to do now. */
bool share_help(int64_t until);

/* The helper has nothing to do until share_wake. */
void share_rest(void);

#endif
