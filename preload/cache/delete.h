/* Deleting an item, wherever its value is. */
#ifndef DELETE_H
#define DELETE_H

#include "abi.h"

/*
 * Deletes an item to which the caller has a reference, which stays the caller's.  If it is not in
 * the table any more, an item that a client has stored since stays with comm NREAD_CAS, and may be
 * deleted with NREAD_SET, which needs no CAS unique.
 */
void delete_item(item *it, int comm, struct backdoor_worker *worker);

#endif
