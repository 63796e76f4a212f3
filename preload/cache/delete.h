/* Deleting an item, wherever its value is. */
#ifndef DELETE_H
#define DELETE_H

#include "abi.h"

/*
 * Deletes an item to which the caller has a reference, which stays the caller's.  Nothing happens
 * if it is not in the table any more: an item that a client has stored since stays.
 */
void delete_item(item *it, struct backdoor_worker *worker);

#endif
