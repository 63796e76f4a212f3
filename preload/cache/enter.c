/* A worker's first and last moment, as jobs run on it. */
#include "turn.h"
#include "worker.h"

#include <unistd.h>

static __thread struct backdoor_worker *self;

/* Returns the worker, or NULL. */
static struct backdoor_worker *attach(void *thread, struct event_base *base, int eventfd) {
    struct backdoor_worker *worker = worker_claim_slot();
    if (worker == NULL) {
        return NULL;
    }
    worker->thread = thread;
    for (size_t i = 0; i < sizeof worker->conn / sizeof worker->conn[0]; i++) {
        worker->conn[i] = thread;
    }
    worker->eventfd = eventfd;
    return worker_attach(worker, base, turn_serve) ? worker : NULL;
}

void backdoor_worker_enter(void *thread, struct event_base *base, int eventfd) {
    self = attach(thread, base, eventfd);
    if (self == NULL) {
        close(eventfd);
        return;
    }
    __atomic_store_n(&self->alive, true, __ATOMIC_SEQ_CST);
    turn_offer((int)(self - workers));
}

/*
 * memcached has freed the worker's base, and the event with it.  The eventfd stays open: a
 * submitter may be posting to it, and the process is about to end.
 */
void backdoor_worker_leave(void) {
    struct backdoor_worker *worker = self;
    if (worker == NULL) {
        return;
    }
    self = NULL;
    __atomic_store_n(&worker->alive, false, __ATOMIC_SEQ_CST);
    turn_leave((int)(worker - workers));
}
