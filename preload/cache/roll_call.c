#include "roll_call.h"

static uint32_t last; /* atomic: the number of the last roll call */

void roll_call_begin(void) {
    __atomic_add_fetch(&last, 1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < worker_slots(); i++) {
        if (worker_is_alive(i)) {
            worker_wake(i);
        }
    }
}

void roll_call_answer(struct backdoor_worker *worker) {
    uint32_t called = __atomic_load_n(&last, __ATOMIC_SEQ_CST);
    __atomic_store_n(&worker->answered, called, __ATOMIC_SEQ_CST);
}

enum roll_call roll_call_state(void) {
    enum roll_call state = ROLL_CALL_COMPLETE;
    for (int i = 0, n = worker_requests(); i < n; i++) {
        if (i == MAX_WORKERS || !worker_is_alive(i)) {
            return ROLL_CALL_UNKNOWN;
        }
        if (__atomic_load_n(&workers[i].answered, __ATOMIC_SEQ_CST) != last) {
            state = ROLL_CALL_AWAITED;
        }
    }
    return state;
}
