/*
 * The proof: what was found is first called in a forked child, not in memcached.
 *
 * A worker forks the child, so that it has what a worker has (logger,
 * LIBEVENT_THREAD).  Only that thread exists in it: the Go runtime is dead there,
 * and a lock that another thread held at the fork stays locked for ever, which is
 * why the parent watches the child and tries again.  If the child crashes or finds
 * a wrong result, the functions are disproven.  If it gets no memory or no
 * processor, the proof is hindered, which says nothing about the functions.
 *
 * The child reports in a page that it shares with the parent, which costs no
 * descriptor: memcached's clients may have them all.
 */
#define _GNU_SOURCE
#include "abi.h"
#include "isolate.h"
#include "locate.h"
#include "report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* memcached's largest -I (memcached.c: main): the search for this memcached's ends there. */
#define LARGEST_ITEM (1 << 30)

static struct backdoor_worker *worker;
static int64_t forked; /* the time of the fork, CLOCK_MONOTONIC in nanoseconds */

static void begin_step(enum backdoor_proof_step step) {
    proof.step = step;
    report_write();
}

/* The child ends at the first expectation that does not hold, and reports its line. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            proof.line = __LINE__;                                                                 \
            report_write();                                                                        \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

/*
 * An item of so few bytes, with a short key, fits into one chunk of 128 bytes.  With a smaller
 * slab_chunk_max memcached itself cannot work: it has no room for the header of a chunked item.
 */
#define NBYTES 12

static item *try_alloc(const char *key, uint32_t flags, rel_time_t exptime, int nbytes) {
    return mc_item_alloc(key, strlen(key), flags, exptime, nbytes);
}

/* There may be no memory, if nothing may be evicted (-M). */
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

/* A CAS unique that memcached has not drawn. */
#define CHOSEN_CAS (UINT64_MAX - 1)

/*
 * NREAD_CAS replaces an item only if the CAS unique is the same, also if the new one is lower: from
 * 1.5.19 to 1.6.18 set_stale of the conn must be false for that (worker.h).  old has CHOSEN_CAS and
 * a reference, which is removed; the item that is returned replaces it.
 */
static item *prove_cas(const char *key, item *old) {
    item *it = fresh(key, 'e');
    mc_set_cas(it, CHOSEN_CAS - 1);
    EXPECT(mc_store_item(it, NREAD_CAS, worker, 0) == EXISTS);
    EXPECT(!(mc_flags(it) & ITEM_LINKED) && it->refcount == 1 && (mc_flags(old) & ITEM_LINKED));
    mc_set_cas(it, CHOSEN_CAS);
    EXPECT(mc_store_item(it, NREAD_CAS, worker, 0) == STORED);
    EXPECT((mc_flags(it) & ITEM_LINKED) && !(mc_flags(old) & ITEM_LINKED));
    mc_item_remove(old);
    return it;
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
    EXPECT(!proof.has_cas || mc_cas(it) > cas);
    proof.clock = (int64_t)it->time - forked / 1000000000; /* the clock stands still in a child */

    /* item_remove drops a reference; it neither unlinks nor frees a linked item. */
    mc_item_remove(it);
    EXPECT((mc_flags(it) & ITEM_LINKED) && it->refcount == 1);

    item *other = fresh(key, 'b');
    EXPECT(mc_store_item(other, NREAD_ADD, worker, CHOSEN_CAS) == NOT_STORED);
    EXPECT(!(mc_flags(other) & ITEM_LINKED) && other->refcount == 1);

    EXPECT(get(key) == it && it->refcount == 2);
    EXPECT(mc_store_item(other, NREAD_REPLACE, worker, CHOSEN_CAS) == STORED);
    EXPECT(!proof.has_cas || mc_cas(other) == CHOSEN_CAS);
    EXPECT(!(mc_flags(it) & ITEM_LINKED) && (mc_flags(other) & ITEM_LINKED));
    mc_item_remove(it);

    it = proof.has_cas ? prove_cas(key, other) : other;
    mc_item_unlink(it);
    EXPECT(!(mc_flags(it) & ITEM_LINKED) && it->refcount == 1);
    mc_item_remove(it);
    EXPECT(get(key) == NULL);
}

/*
 * The marks, by what memcached does with a value that was made of an older one: the new item is
 * stale, and won if the old one is.  To 1.6.18, and with -C, that cannot be asked for here: the
 * marks' bits follow from the version alone, as everything else in the header.
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

/* The largest nbytes that item_alloc accepts; cheap from 1.4.36 on, which allocates chunks later.
 */
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

/* A large item's first chunk and the one that do_item_alloc_chunk adds to it. */
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

/* A large item's chunks, chained by item_alloc (slabs.c: do_slabs_alloc_chunked). */
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

/* The largest item is chunked if any is (slab_chunk_max). */
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

static _Noreturn void child(struct backdoor_proof_report *page) {
    report_to(page);
    static const char key[] = "backdoor:proof";

    begin_step(BACKDOOR_PROOF_FORKED);
    isolate(page);
    begin_step(BACKDOOR_PROOF_ALLOC);
    prove_alloc(key);
    begin_step(BACKDOOR_PROOF_STORE);
    prove_store(key);
    prove_marks(key);
    begin_step(BACKDOOR_PROOF_LIMITS);
    prove_limits(key);
    begin_step(BACKDOOR_PROOF_CHUNKS);
    prove_chunks(key);
    begin_step(BACKDOOR_PROOF_TABLE);
    proof.table = locate_table(worker);
    begin_step(BACKDOOR_PROOF_LOCKS);
    if (!locate_locks(worker, &proof.locks, &proof.lock_mask)) {
        proof.locks = 0;
    }
    begin_step(BACKDOOR_PROOF_HOLDS);
    _exit(0);
}

static enum backdoor_progress run_proof(struct backdoor_job *job, struct backdoor_worker *on,
                                        int64_t until) {
    struct backdoor_proof_job *proving = (struct backdoor_proof_job *)job;
    (void)until;
    if (on == NULL) {
        proving->pid = -ESRCH;
        return BACKDOOR_FINISHED;
    }
    /* The child has memcached's handlers, but no loop that they could stop. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int64_t now = monotonic();
    pid_t pid = fork();
    if (pid == 0) {
        mc_functions = proving->functions;
        worker = on;
        forked = now;
        child(proving->report);
    }
    proving->pid = pid > 0 ? pid : -errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return BACKDOOR_FINISHED;
}

void backdoor_submit_proof(struct backdoor_proof_job *proving) {
    proving->job.run = run_proof;
    proving->job.done = -1;
    backdoor_submit(&proving->job);
}
