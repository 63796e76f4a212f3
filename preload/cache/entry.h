/* What a walk writes to its buffer of an item (struct backdoor_item). */
#ifndef ENTRY_H
#define ENTRY_H

#include "backdoor.h"

/* The bytes of an item in the buffer, with its value or without. */
uint32_t entry_size(const item *it, bool value);

/* Writes an item's header and key to the buffer, which has room for size bytes; the value is to
 * follow. */
struct backdoor_item *entry_put(const struct backdoor_walk *walk, item *it, uint32_t size);

/* Writes that a key has no item.  Returns false if there is no room for it. */
bool entry_put_gone(struct backdoor_walk *walk, const char *key, uint8_t nkey);

#endif
