/* Making the items of a batch's rows, on any worker. */
#ifndef MAKE_H
#define MAKE_H

#include "abi.h"

void make_bind(int64_t clock);
/* memcached's current_time. */
int64_t make_clock(void);
void observe_clock(const item *it);

item *make_item(const struct backdoor_batch *batch, const struct backdoor_row *row);
void copy_out(const struct backdoor_batch *batch, const struct backdoor_row *row, char *to,
              uint32_t from, uint32_t n);
bool make_some(struct backdoor_batch *batch);
bool make_is_due(const struct backdoor_batch *batch);
bool make_help(struct backdoor_job *job, int64_t until);
void unmake(struct backdoor_batch *batch, uint32_t from);

static inline bool is_made(const struct backdoor_row *row) {
    return __atomic_load_n(&row->made, __ATOMIC_ACQUIRE);
}

#endif
