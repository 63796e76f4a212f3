/*
 * What any loader inside memcached could reach at best: a loop on a worker over a
 * mapped file, item_alloc, store_item, item_remove, and nothing else.
 *
 * It is a library for LD_PRELOAD into memcached 1.6.18 (store_item takes a conn
 * there), and blocks the first worker while it runs.  Values of more than one
 * chunk are filled as memcached does.  From the environment:
 *
 *     LOOP_ROWS       the file
 *     LOOP_FUNCTIONS  addresses in hexadecimal, as the program file states them:
 *                     item_alloc,store_item,item_remove,do_item_alloc_chunk
 *     LOOP_RESULT     a file for the seconds that it took
 */
#define _GNU_SOURCE
#include "clock.h"
#include "memcached.h"

#include <dlfcn.h>
#include <err.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static item *(*item_alloc)(const char *key, size_t nkey, uint32_t flags, rel_time_t exptime,
                           int nbytes);
static enum store_item_type (*store_item)(item *it, int comm, void *conn);
static void (*item_remove)(item *it);
static item_chunk *(*do_item_alloc_chunk)(item_chunk *ch, size_t bytes_remain);

static void *(*worker_fn)(void *);
static __thread void *thread;
static int ran;
static int serving; /* the main thread is in its loop: all other threads are there */

static int find_bias(struct dl_phdr_info *info, size_t size, void *bias) {
    (void)size;
    *(uintptr_t *)bias = info->dlpi_addr;
    return 1; /* the program comes first */
}

static void find_functions(void) {
    uintptr_t bias = 0, at[4];
    dl_iterate_phdr(find_bias, &bias);
    const char *list = getenv("LOOP_FUNCTIONS");
    if (list == NULL || sscanf(list, "%lx,%lx,%lx,%lx", &at[0], &at[1], &at[2], &at[3]) != 4) {
        errx(1, "LOOP_FUNCTIONS");
    }
    item_alloc = (void *)(bias + at[0]);
    store_item = (void *)(bias + at[1]);
    item_remove = (void *)(bias + at[2]);
    do_item_alloc_chunk = (void *)(bias + at[3]);
}

static void fill(item *it, const char *value, size_t nvalue) {
    char *data = it->data + ((it->it_flags & ITEM_CAS) ? 8 : 0) + it->nkey + 1;
    if (!(it->it_flags & ITEM_CHUNKED)) {
        memcpy(data, value, nvalue);
        memcpy(data + nvalue, "\r\n", 2);
        return;
    }
    item_chunk *ch = (item_chunk *)data;
    for (size_t left = nvalue + 2; left > 0;) {
        if (ch->used == ch->size) {
            ch = do_item_alloc_chunk(ch, left);
            if (ch == NULL) {
                errx(1, "out of memory");
            }
        }
        size_t n = (size_t)(ch->size - ch->used) < left ? (size_t)(ch->size - ch->used) : left;
        size_t from = nvalue + 2 - left;
        size_t bytes = from >= nvalue ? 0 : nvalue - from < n ? nvalue - from : n;
        char *to = (char *)ch + CHUNK_DATA + ch->used;
        memcpy(to, value + from, bytes);
        memcpy(to + bytes, "\r\n" + (from + bytes - nvalue), n - bytes);
        ch->used += (int)n;
        left -= n;
    }
}

static void load(void) {
    struct stat st;
    int file = open(getenv("LOOP_ROWS"), O_RDONLY);
    if (file < 0 || fstat(file, &st) != 0) {
        err(1, "LOOP_ROWS");
    }
    const char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    if (at == MAP_FAILED) {
        err(1, "LOOP_ROWS");
    }
    /* All that store_item reads of a conn is its thread, wherever that is. */
    void *conn[256];
    for (size_t i = 0; i < sizeof conn / sizeof conn[0]; i++) {
        conn[i] = thread;
    }
    double began = now();
    for (const char *end = at + st.st_size; at < end;) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *tab = memchr(at, '\t', (size_t)(end - at));
        if (newline == NULL || tab == NULL || tab > newline) {
            errx(1, "not a row");
        }
        size_t nvalue = (size_t)(newline - tab - 1);
        item *it = item_alloc(at, (size_t)(tab - at), 0, 0, (int)nvalue + 2);
        if (it == NULL) {
            errx(1, "out of memory");
        }
        fill(it, tab + 1, nvalue);
        if (store_item(it, NREAD_SET, conn) != STORED) {
            errx(1, "not stored");
        }
        item_remove(it);
        at = newline + 1;
    }
    double took = now() - began;
    FILE *result = fopen(getenv("LOOP_RESULT"), "w");
    if (result == NULL) {
        err(1, "LOOP_RESULT");
    }
    fprintf(result, "%.6f\n", took);
    fclose(result);
}

static void *start(void *arg) {
    thread = arg;
    return worker_fn(arg);
}

/* memcached makes its workers, and no other thread, with attributes. */
int pthread_create(pthread_t *id, const pthread_attr_t *attr, void *(*fn)(void *), void *arg) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        dlsym(RTLD_NEXT, "pthread_create");
    if (attr == NULL || arg == NULL) {
        return real(id, attr, fn, arg);
    }
    worker_fn = fn;
    return real(id, attr, start, arg);
}

int event_base_loop(void *base, int flags);
int event_base_loop(void *base, int flags) {
    int (*real)(void *, int) = dlsym(RTLD_NEXT, "event_base_loop");
    if (thread == NULL) {
        __atomic_store_n(&serving, 1, __ATOMIC_SEQ_CST);
    } else if (__atomic_exchange_n(&ran, 1, __ATOMIC_SEQ_CST) == 0) {
        find_functions();
        while (__atomic_load_n(&serving, __ATOMIC_SEQ_CST) == 0) {
            usleep(1000);
        }
        load();
    }
    return real(base, flags);
}
