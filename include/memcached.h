/*
 * memcached's ABI: the parts of its memory layout and of its calling conventions
 * that the library uses, for 1.4.25 to 1.6.45.
 *
 * Every fact is from memcached.h (struct _stritem, struct _strchunk, NREAD_*,
 * enum store_item_type) and thread.c (item_alloc, store_item, ...).  If versions
 * differ, the difference has a name here; preload/host knows which version has
 * which.
 */
#ifndef MEMCACHED_H
#define MEMCACHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_MAX_LENGTH 250

/* Seconds since a little before the process started (memcached.h: rel_time_t). */
typedef unsigned int rel_time_t;

/* An exptime that has passed (memcached.c: realtime, of a negative time). */
#define EXPTIME_PAST 1

/* it_flags (memcached.h) */
#define ITEM_LINKED 1
#define ITEM_CAS 2
#define ITEM_FETCHED 8
#define ITEM_CHUNKED 32
#define ITEM_HDR 128         /* 1.5.4 on: the value is in extstore */
#define ITEM_CFLAGS 256      /* 1.5.15 on: client flags are behind the key */
#define ITEM_TOKEN_SENT 512  /* 1.5.19 on: won: a client was told to recache its value */
#define ITEM_STALE 2048      /* 1.5.19 on: it was invalidated, and is served as stale */
#define ITEM_KEY_BINARY 4096 /* 1.6.10 on: the key travels in base64 */

/*
 * Which of its class's LRU lists an item is linked into: the upper bits of
 * slabs_clsid, set by do_item_alloc (items.c, 1.4.24 on).
 */
#define ITEM_lru(slabs_clsid) ((slabs_clsid) & (3 << 6))
#define HOT_LRU 0
#define COLD_LRU 128

/* The command that store_item carries out (memcached.h: NREAD_*). */
#define NREAD_ADD 1
#define NREAD_SET 2
#define NREAD_REPLACE 3
#define NREAD_CAS 6

/* What store_item returns (memcached.h: enum store_item_type). */
enum store_item_type { NOT_STORED = 0, STORED = 1, EXISTS = 2, NOT_FOUND = 3 };

/*
 * An item's header, memcached.h: struct _stritem.  Behind it: 8 bytes of CAS if
 * ITEM_CAS, the key and one byte, the suffix (client flags: a number, or until
 * 1.5.14 perhaps the end of the text protocol's reply), the data, whose last two
 * bytes are "\r\n".
 */
typedef struct {
    void *next, *prev, *h_next;
    rel_time_t time;
    rel_time_t exptime;
    int nbytes;
    unsigned short refcount;
    union {
        uint16_t it_flags; /* 1.5.15 on */
        struct {
            uint8_t nsuffix;
            uint8_t it_flags;
        } old; /* to 1.5.14 */
    };
    uint8_t slabs_clsid;
    uint8_t nkey;
    char data[] __attribute__((aligned(8)));
} item;

/* Bytes of an item besides key, suffix and data: header, CAS, the byte behind the key. */
#define ITEM_OVERHEAD (sizeof(item) + sizeof(uint64_t) + 1)

/*
 * A part of an item that is larger than slab_chunk_max, memcached.h: struct
 * _strchunk, 1.4.29 on.  The first chunk, from 1.4.36 on one without room, is the
 * header item's data, right behind the key and its suffix: so its address is not
 * aligned, and the struct is packed.  A chunk's bytes start right behind the last
 * field, not at sizeof.
 */
typedef struct item_chunk {
    struct item_chunk *next, *prev;
    item *head;
    int size; /* room in this chunk */
    int used; /* bytes of it that are filled */
    int nbytes;
    unsigned short refcount;
    uint8_t rest[]; /* the bytes begin at CHUNK_DATA */
} __attribute__((packed, aligned(1))) item_chunk;

#define CHUNK_DATA_OLD 41 /* to 1.5.14 */
#define CHUNK_DATA 42     /* 1.5.15 on */

_Static_assert(offsetof(item, nbytes) == 32 && offsetof(item, it_flags) == 38 &&
                   offsetof(item, nkey) == 41 && offsetof(item, data) == 48,
               "struct _stritem");
_Static_assert(offsetof(item_chunk, size) == 24 && offsetof(item_chunk, used) == 28 &&
                   offsetof(item_chunk, rest) == 38,
               "struct _strchunk");

/*
 * The functions.  Client flags are int, uint32_t or uint64_t by version and
 * build: they are passed in one register, of which the callee reads what it needs.
 */
typedef item *item_alloc_fn(const char *key, size_t nkey, uint64_t flags, rel_time_t exptime,
                            int nbytes);
typedef void item_remove_fn(item *it);
typedef void item_unlink_fn(item *it);
typedef item_chunk *do_item_alloc_chunk_fn(item_chunk *ch, size_t bytes_remain);
typedef uint64_t get_cas_id_fn(void);
typedef uint32_t hash_fn(const void *key, size_t length); /* hash.h: hash_func */

/* do_item_alloc, to 1.4.28; cur_hv is 0 if the caller holds no item's lock. */
typedef item *item_alloc_hash_fn(const char *key, size_t nkey, uint64_t flags, rel_time_t exptime,
                                 int nbytes, uint32_t cur_hv);

/* item_get by version. */
typedef item *item_get_key_fn(const char *key, size_t nkey);              /* 1.4.25 */
typedef item *item_get_conn_fn(const char *key, size_t nkey, void *conn); /* to 1.4.34 */
typedef item *item_get_update_fn(const char *key, size_t nkey,
                                 void *conn_or_thread, /* a conn to 1.6.18 */
                                 bool do_update);

/* store_item by version. */
typedef enum store_item_type store_item_conn_fn(item *it, int comm, void *conn); /* to 1.6.18 */
typedef enum store_item_type store_item_thread_fn(item *it, int comm, void *thread, uint64_t *cas,
                                                  bool cas_stale); /* 1.6.19 */
typedef enum store_item_type store_item_nbytes_fn(item *it, int comm, void *thread, int *nbytes,
                                                  uint64_t *cas,
                                                  bool cas_stale); /* 1.6.20 to 1.6.26 */
typedef enum store_item_type store_item_cas_in_fn(item *it, int comm, void *thread, int *nbytes,
                                                  uint64_t *cas, uint64_t cas_in,
                                                  bool cas_stale); /* 1.6.27 on */

#endif
