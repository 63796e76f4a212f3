/* Making the items of a batch's rows, on any worker. */
#ifndef MAKE_H
#define MAKE_H

#include "abi.h"

/* An item for the row, without its data, for mc_item_remove; or NULL. */
item *make_item(const struct backdoor_batch *batch, const struct backdoor_row *row);

/* Copies n bytes, from offset from, of the row's data: its value and "\r\n". */
void copy_data(const struct backdoor_batch *batch, const struct backdoor_row *row, char *to,
               uint32_t from, uint32_t n);

/* Makes the next group's items.  Returns false if there is none to make now. */
bool make_group(struct backdoor_batch *batch);

/* Is there enough to make that it is worth waking the helper? */
bool make_needs_help(const struct backdoor_batch *batch);

/* A batch's help. */
bool make_help(struct backdoor_job *job, int64_t until);

/* Gives back the items of row from and of those behind it.  No other worker is making any. */
void unmake(struct backdoor_batch *batch, uint32_t from);

static inline bool is_made(const struct backdoor_row *row) {
    return __atomic_load_n(&row->made, __ATOMIC_ACQUIRE);
}

#endif
