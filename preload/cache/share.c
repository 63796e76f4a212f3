/*
 * The helper takes the job out of `shared` for a slice at a time, so that one of two holds it: the
 * helper, or the worker that has the turn (share_end).
 */
#include "share.h"

#include <stdatomic.h>

static _Atomic(struct backdoor_job *) shared;
static atomic_int helper; /* the index of the worker that is asked to help */
static atomic_bool helper_resting;

bool share_begin(struct backdoor_job *job, const struct backdoor_worker *holder) {
    int index = (int)(holder - workers), next = worker_next(index);
    if (next < 0 || next == index) {
        return false;
    }
    atomic_store(&helper_resting, false);
    atomic_store(&helper, next);
    atomic_store(&shared, job);
    worker_wake(next);
    return true;
}

void share_wake(void) {
    if (atomic_load(&helper_resting) && atomic_exchange(&helper_resting, false)) {
        worker_wake(atomic_load(&helper));
    }
}

bool share_end(struct backdoor_job *job) {
    return atomic_exchange(&shared, NULL) == job;
}

bool share_is_helper(int index) {
    return atomic_load(&helper) == index;
}

bool share_help(int64_t until) {
    struct backdoor_job *job = atomic_exchange(&shared, NULL);
    if (job == NULL) {
        return false;
    }
    bool more = job->help(job, until);
    atomic_store(&shared, job); /* from here on it may be finished */
    return more;
}

void share_rest(void) {
    atomic_store(&helper_resting, true);
}
