/*
 * Latencies, counted in buckets whose width is at most 1/128 of their values: a
 * percentile is off by less than 1 %.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

/* Each power of two has so many buckets of the same width; below it a bucket is one value. */
#define SUB_BITS 7
#define SUB_BUCKETS (1u << SUB_BITS)
#define BUCKETS ((65 - SUB_BITS) * SUB_BUCKETS)

struct histogram {
    uint64_t count, max;
    uint32_t buckets[BUCKETS];
};

static inline void record(struct histogram *h, uint64_t value) {
    unsigned shift = 0;
    if (value >= SUB_BUCKETS) {
        shift = 63 - SUB_BITS - (unsigned)__builtin_clzll(value);
    }
    h->buckets[shift * SUB_BUCKETS + (value >> shift)]++;
    h->count++;
    if (value > h->max) {
        h->max = value;
    }
}

/* The middle of the bucket that has the value below which that part of all is, in thousands. */
static inline double percentile(const struct histogram *h, double part) {
    uint64_t rank = (uint64_t)(part * (double)h->count), seen = 0;
    for (size_t i = 0; i < BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen > rank) {
            unsigned shift = i < 2 * SUB_BUCKETS ? 0 : (unsigned)(i / SUB_BUCKETS) - 1;
            double low = (double)((uint64_t)(i - shift * SUB_BUCKETS) << shift);
            return (low + (double)((uint64_t)1 << shift) / 2) / 1000;
        }
    }
    return (double)h->max / 1000;
}

#endif
