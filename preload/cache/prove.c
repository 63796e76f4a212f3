/*
 * The proof: what was found is called in a forked child, never first in memcached.
 *
 * The child is forked by a worker thread, so that it has what a worker has
 * (logger, LIBEVENT_THREAD).  Only that thread exists in it: the Go runtime is
 * dead there, and a lock that another thread held at the fork stays locked for
 * ever, which is why the parent watches it and tries again.  A crash or a wrong
 * answer ends the child and is an answer.  That it gets no memory or no processor
 * is none.
 *
 * It reports in a page that it shares with the parent, which costs no descriptor:
 * memcached's clients may have them all.
 */
#define _GNU_SOURCE
#include "isolate.h"
#include "locks.h"
#include "table.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* memcached's largest -I (memcached.c: main), and so the end of the search for ours. */
#define LARGEST_ITEM (1 << 30)

static struct backdoor_worker *worker;
static struct backdoor_proof_report proof;
static struct backdoor_proof_report *report;
static int64_t forked; /* when the child was, CLOCK_MONOTONIC in nanoseconds */

/* The parent reads it when the child has ended. */
static void tell(void) {
    memcpy(report, &proof, sizeof proof);
}

void hindered(const char *what, int error) {
    snprintf(proof.reason, sizeof proof.reason, "%s", what);
    proof.error = error;
    tell();
    _exit(1);
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

/*
 * With a short key, an item of these fits into one chunk of 128 bytes.  A smaller slab_chunk_max
 * has no room for the header of an item of chunks, so that memcached itself cannot work.
 */
#define NBYTES 12

/* NULL: it is too large, or there is no memory. */
static item *try_alloc(const char *key, uint32_t flags, rel_time_t exptime, int nbytes) {
    return mc_item_alloc(key, strlen(key), flags, exptime, nbytes);
}

/* There may be no memory, where nothing may be evicted (-M). */
static item *alloc(const char *key, uint32_t flags, rel_time_t exptime, int nbytes) {
    item *it = try_alloc(key, flags, exptime, nbytes);
    if (it == NULL) {
        hindered("memcached has no memory for an item", 0);
    }
    return it;
}

static item *get(const char *key) {
    return mc_item_get(key, strlen(key), worker);
}

/* item_alloc: a header as do_item_alloc makes it (items.c). */
static void prove_alloc(const char *key) {
    item *it = alloc(key, 0, 12345, NBYTES);
    EXPECT(it->nbytes == NBYTES && it->exptime == 12345 && it->nkey == strlen(key));
    EXPECT(it->refcount == 1);
    EXPECT((mc_flags(it) & ~ITEM_CAS) == 0);
    proof.has_cas = (mc_flags(it) & ITEM_CAS) != 0;
    EXPECT(memcmp(mc_key(it), key, strlen(key)) == 0);
    mc_item_remove(it);
}

static item *fresh(const char *key, char fill) {
    item *it = alloc(key, 0, 0, NBYTES);
    mc_set_cas(it, 0);
    memset(mc_data(it), fill, NBYTES - 2);
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
    proof.clock = (int64_t)it->time - forked / 1000000000; /* it stands still here */

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

/*
 * The marks, by what memcached does with a value that was made of an older one: the new item is
 * stale, and won if the old one is.  To 1.6.18, and with -C, that is not to be had here: which bits
 * they are follows from the version alone, as everything else in the header.
 */
static void prove_marks(const char *key) {
    if (mc_functions.store_abi == BACKDOOR_STORE_CONN || !proof.has_cas) {
        return;
    }
    static const uint16_t marks[] = {0, ITEM_TOKEN_SENT};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        item *old = fresh(key, 'c');
        old->it_flags |= marks[i];
        EXPECT(mc_store_item(old, NREAD_SET, worker, CHOSEN_CAS) == STORED);
        EXPECT(mc_flags(old) == (ITEM_LINKED | ITEM_CAS | marks[i]));
        item *it = fresh(key, 'd');
        mc_set_cas(it, 1);
        EXPECT(mc_store_stale(it, worker) == STORED);
        EXPECT(mc_flags(it) == (ITEM_LINKED | ITEM_CAS | ITEM_STALE | marks[i]));
        mc_item_remove(old);
        mc_item_unlink(it);
        mc_item_remove(it);
    }
    EXPECT(get(key) == NULL);
}

/* The largest nbytes that item_alloc takes; cheap from 1.4.36 on, where chunks come later. */
static int largest(const char *key, unsigned flags) {
    int fits = 2, fails = LARGEST_ITEM;
    while (fails - fits > 1) {
        int nbytes = fits + (fails - fits) / 2;
        item *it = try_alloc(key, flags, 0, nbytes);
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
    item *it = alloc(key, flags, 0, NBYTES);
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
    } else if (suffix(key, 0) == strlen(" 0 10\r\n")) { /* inline_ascii_response */
        EXPECT(suffix(key, flags) == strlen(" 16909060 10\r\n"));
    } else {
        proof.suffix[0] = suffix(key, 0);
        proof.suffix[1] = suffix(key, flags);
        EXPECT(proof.suffix[0] == 0 || proof.suffix[0] == 4); /* before 1.4.39 */
        EXPECT(proof.suffix[1] == 4);
    }
    memcpy(mc_suffix, proof.suffix, sizeof mc_suffix);
    item *it = alloc(key, 0, 0, plain);
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
    static const char key[] = "backdoor:proof";

    reach(BACKDOOR_PROOF_FORKED);
    isolate(report);
    reach(BACKDOOR_PROOF_ALLOC);
    prove_alloc(key);
    reach(BACKDOOR_PROOF_STORE);
    prove_store(key);
    prove_marks(key);
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
    struct backdoor_proof_job *prove = (struct backdoor_proof_job *)job;
    (void)until;
    if (on == NULL) {
        prove->pid = -ESRCH;
        return BACKDOOR_FINISHED;
    }
    /* The child has memcached's handlers and no loop for them to talk to. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int64_t now = monotonic();
    pid_t pid = fork();
    if (pid == 0) {
        mc_functions = prove->functions;
        worker = on;
        report = prove->report;
        forked = now;
        child();
    }
    prove->pid = pid > 0 ? pid : -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return BACKDOOR_FINISHED;
}

/* Submits a proof: functions and report are set by the caller, and job.finished is waited for. */
void backdoor_submit_proof(struct backdoor_proof_job *prove) {
    prove->job.run = run;
    prove->job.done = -1;
    backdoor_submit(&prove->job);
}
