/*
 * The proof: what was found is called in a forked child, never first in memcached.
 *
 * The child is forked by a worker thread, so that it has what a worker has
 * (logger, LIBEVENT_THREAD).  Only that thread exists in it: the Go runtime is
 * dead there, and a lock that another thread held at the fork stays locked for
 * ever, which is why the parent limits the child's time and tries again.  A crash
 * or a wrong answer ends the child and is an answer.
 */
#define _GNU_SOURCE
#include "locks.h"
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* memcached's largest -I (memcached.c: main), and so the end of the search for ours. */
#define LARGEST_ITEM (1 << 30)

static struct backdoor_worker *worker;
static struct backdoor_proof proof;
static int report;

static void tell(void) {
    ssize_t n = write(report, &proof, sizeof proof);
    (void)n;
}

static void reach(enum backdoor_proof_step step) {
    proof.step = step;
    tell();
}

/* The child ends at the first thing that is not as it must be, and says where. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            proof.line = __LINE__;                                                                 \
            tell();                                                                                \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static item *alloc(const char *key, uint32_t flags, rel_time_t exptime, int nbytes) {
    return mc_item_alloc(key, strlen(key), flags, exptime, nbytes);
}

static item *get(const char *key) {
    return mc_item_get(key, strlen(key), worker);
}

/*
 * Makes a shared mapping of the child a private copy of what it shows.  A
 * restartable memcached (-e) has its items in one, and what the child does to
 * them must not reach the parent.  The mapping's file is one that memcached has
 * open (restart.c: restart_mmap_open), found by device and inode.
 */
static void make_private(uintptr_t start, uintptr_t end, off_t offset, dev_t dev, ino_t ino) {
    for (int fd = 0; fd < 256; fd++) {
        struct stat st;
        if (fstat(fd, &st) == 0 && st.st_dev == dev && st.st_ino == ino) {
            void *at = mmap((void *)start, end - start, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd, offset);
            EXPECT(at == (void *)start);
            return;
        }
    }
    EXPECT(!"a shared mapping whose file is not open");
}

static void make_memory_private(void) {
    static char maps[1 << 20];
    int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    size_t length = 0;
    ssize_t n;
    while ((n = read(fd, maps + length, sizeof maps - 1 - length)) > 0) {
        length += (size_t)n;
    }
    EXPECT(n == 0 && length < sizeof maps - 1);
    close(fd);
    for (char *line = maps, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n');
        EXPECT(next != NULL);
        *next++ = '\0';
        unsigned long start, end, offset, ino;
        unsigned major, minor;
        char access[5];
        EXPECT(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu", &start, &end, access, &offset, &major,
                      &minor, &ino) == 7);
        if (access[1] == 'w' && access[3] == 's') {
            make_private(start, end, (off_t)offset, makedev(major, minor), ino);
        }
    }
}

/* item_alloc: a header as do_item_alloc makes it (items.c). */
static void prove_alloc(const char *key) {
    item *it = alloc(key, 0, 12345, 102);
    EXPECT(it != NULL);
    EXPECT(it->nbytes == 102 && it->exptime == 12345 && it->nkey == strlen(key));
    EXPECT(it->refcount == 1);
    EXPECT((mc_flags(it) & ~ITEM_CAS) == 0);
    proof.has_cas = (mc_flags(it) & ITEM_CAS) != 0;
    EXPECT(memcmp(mc_key(it), key, strlen(key)) == 0);
    mc_item_remove(it);
}

static item *fresh(const char *key, char fill) {
    item *it = alloc(key, 0, 0, 102);
    EXPECT(it != NULL);
    mc_set_cas(it, 0);
    memset(mc_data(it), fill, 100);
    return it;
}

/* A CAS unique that no item has by itself. */
#define CHOSEN_CAS (UINT64_MAX - 1)

static uint64_t cas_of(const item *it) {
    uint64_t cas;
    memcpy(&cas, it->data, sizeof cas);
    return cas;
}

/* store_item, item_get, item_remove and item_unlink by what they do to one key. */
static void prove_store(const char *key) {
    uint64_t cas = 0;
    if (mc_functions.store_abi == BACKDOOR_STORE_CAS_IN) {
        cas = mc_get_cas_id();
        EXPECT(mc_get_cas_id() == cas + 1);
    }
    EXPECT(get(key) == NULL);
    item *it = fresh(key, 'a');
    EXPECT(mc_store_item(it, NREAD_REPLACE, worker, 0) == NOT_STORED);
    EXPECT(mc_store_item(it, NREAD_SET, worker, 0) == STORED);
    EXPECT((mc_flags(it) & ITEM_LINKED) && it->refcount == 2);
    EXPECT(!proof.has_cas || cas_of(it) > cas);
    proof.clock = (int64_t)it->time - monotonic() / 1000000000;

    /* item_remove gives a reference back; it neither unlinks nor frees a linked item. */
    mc_item_remove(it);
    EXPECT((mc_flags(it) & ITEM_LINKED) && it->refcount == 1);

    item *other = fresh(key, 'b');
    EXPECT(mc_store_item(other, NREAD_ADD, worker, CHOSEN_CAS) == NOT_STORED);
    EXPECT(!(mc_flags(other) & ITEM_LINKED) && other->refcount == 1);

    EXPECT(get(key) == it && it->refcount == 2);
    EXPECT(mc_store_item(other, NREAD_REPLACE, worker, CHOSEN_CAS) == STORED);
    EXPECT(!proof.has_cas || cas_of(other) == CHOSEN_CAS);
    EXPECT(!(mc_flags(it) & ITEM_LINKED) && (mc_flags(other) & ITEM_LINKED));
    mc_item_remove(it);

    mc_item_unlink(other);
    EXPECT(!(mc_flags(other) & ITEM_LINKED) && other->refcount == 1);
    mc_item_remove(other);
    EXPECT(get(key) == NULL);
}

/* The largest nbytes that item_alloc takes; cheap from 1.4.36 on, where chunks come later. */
static int largest(const char *key, unsigned flags) {
    int fits = 2, fails = LARGEST_ITEM;
    while (fails - fits > 1) {
        int nbytes = fits + (fails - fits) / 2;
        item *it = alloc(key, flags, 0, nbytes);
        if (it != NULL) {
            mc_item_remove(it);
            fits = nbytes;
        } else {
            fails = nbytes;
        }
    }
    return fits;
}

/* Bytes of client flags in an item; until 1.5.14 the header says how many. */
static uint64_t suffix(const char *key, uint32_t flags) {
    item *it = alloc(key, flags, 0, 102);
    EXPECT(it != NULL);
    uint64_t n = it->old.nsuffix;
    mc_item_remove(it);
    return n;
}

static void prove_limits(const char *key) {
    static const uint32_t flags = 0x01020304;
    int plain = largest(key, 0);
    if (!mc_functions.old_layout) {
        proof.suffix[1] = (uint64_t)(plain - largest(key, flags));
        EXPECT(proof.suffix[1] == 4 || proof.suffix[1] == 8);
    } else if (suffix(key, 0) == strlen(" 0 100\r\n")) { /* inline_ascii_response */
        EXPECT(suffix(key, flags) == strlen(" 16909060 100\r\n"));
    } else {
        proof.suffix[0] = suffix(key, 0);
        proof.suffix[1] = suffix(key, flags);
        EXPECT(proof.suffix[0] == 0 || proof.suffix[0] == 4); /* before 1.4.39 */
        EXPECT(proof.suffix[1] == 4);
    }
    memcpy(mc_suffix, proof.suffix, sizeof mc_suffix);
    item *it = alloc(key, 0, 0, plain);
    EXPECT(it != NULL);
    proof.item_size_max = (uint64_t)(mc_data(it) - (char *)it) + (uint64_t)plain;
    mc_item_remove(it);
}

/* A large item's first chunk and the one that do_item_alloc_chunk puts behind it. */
static void prove_lazy_chunks(item *it) {
    item_chunk *first = (item_chunk *)mc_data(it);
    EXPECT(first->head == it && first->size == 0 && first->used == 0);
    EXPECT(first->next == NULL && first->prev == NULL);
    item_chunk *ch = mc_next_chunk(first, (size_t)it->nbytes);
    EXPECT(ch != NULL && ch != first && first->next == ch);
    EXPECT(ch->head == it && ch->prev == first && ch->next == NULL);
    EXPECT(ch->used == 0 && ch->size > 0 && ch->size <= it->nbytes);
    memset(mc_chunk_data(ch), 'c', (size_t)ch->size);
}

/* A large item's chunks, chained up by item_alloc (slabs.c: do_slabs_alloc_chunked). */
static void prove_ready_chunks(item *it) {
    int64_t room = 0;
    item_chunk *prev = NULL;
    for (item_chunk *ch = (item_chunk *)mc_data(it); ch != NULL; prev = ch, ch = ch->next) {
        EXPECT(ch->head == it && ch->prev == prev && ch->used == 0 && ch->size > 0);
        memset(mc_chunk_data(ch), 'c', (size_t)ch->size);
        room += ch->size;
    }
    EXPECT(room >= it->nbytes);
}

/* The largest item is one of chunks if any is (slab_chunk_max). */
static void prove_chunks(const char *key) {
    item *it = alloc(key, 0, 0, largest(key, 0));
    EXPECT(it != NULL);
    if (mc_flags(it) & ITEM_CHUNKED) {
        EXPECT(mc_functions.chunks != BACKDOOR_CHUNKS_NONE);
        if (mc_functions.chunks == BACKDOOR_CHUNKS_READY) {
            prove_ready_chunks(it);
        } else {
            prove_lazy_chunks(it);
        }
    }
    mc_item_remove(it);
}

static _Noreturn void child(void) {
    static const char key[] = "memcached-backdoor:proof";

    /* A crash here is an answer: no core file of it, and no handler of anybody's. */
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        signal(faults[i], SIG_DFL);
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);

    reach(BACKDOOR_PROOF_FORKED);
    make_memory_private();
    reach(BACKDOOR_PROOF_ALLOC);
    prove_alloc(key);
    reach(BACKDOOR_PROOF_STORE);
    prove_store(key);
    reach(BACKDOOR_PROOF_LIMITS);
    prove_limits(key);
    reach(BACKDOOR_PROOF_CHUNKS);
    prove_chunks(key);
    reach(BACKDOOR_PROOF_TABLE);
    proof.table = locate_table(worker);
    reach(BACKDOOR_PROOF_LOCKS);
    if (!locate_locks(worker, &proof.locks, &proof.lock_mask)) {
        proof.locks = 0;
    }
    reach(BACKDOOR_PROOF_HOLDS);
    _exit(0);
}

static enum backdoor_progress run(struct backdoor_job *job, struct backdoor_worker *on,
                                  int64_t until) {
    struct backdoor_prove *prove = (struct backdoor_prove *)job;
    (void)until;
    if (on == NULL) {
        prove->pid = -ESRCH;
        close(prove->pipe);
        return BACKDOOR_FINISHED;
    }
    /* The child has memcached's handlers and no loop for them to talk to. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0) {
        mc_functions = prove->functions;
        worker = on;
        report = prove->pipe;
        child();
    }
    prove->pid = pid > 0 ? pid : -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(prove->pipe);
    return BACKDOOR_FINISHED;
}

/* Submits a proof: job.done, functions and pipe are set by the caller. */
void backdoor_prove_start(struct backdoor_prove *prove) {
    prove->job.run = run;
    backdoor_submit(&prove->job);
}
