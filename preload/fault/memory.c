//go:build faulty

#include "memory.h"

#include <limits.h>
#include <stdlib.h>

void write_behind(void) {
    volatile char *volatile bytes = malloc(16); /* the compiler does not know its size */
    if (bytes != NULL) {
        bytes[16] = 1;
    }
    free((void *)bytes);
}

void overflow(void) {
    volatile int most = INT_MAX;
    most = most + 1;
}
