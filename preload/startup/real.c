#include "real.h"

#include <dlfcn.h>
#include <stdatomic.h>

/* Two threads may look the same name up at once; both find the same address. */
#define REAL(name)                                                                                 \
    name##_fn *real_##name(void) {                                                                 \
        static name##_fn *_Atomic real;                                                            \
        name##_fn *found = atomic_load(&real);                                                     \
        if (found == NULL) {                                                                       \
            found = (name##_fn *)dlsym(RTLD_NEXT, #name);                                          \
            atomic_store(&real, found);                                                            \
        }                                                                                          \
        return found;                                                                              \
    }

REAL(pthread_create)
REAL(event_base_loop)
REAL(epoll_wait)
REAL(epoll_pwait2)
REAL(setrlimit)
REAL(seccomp_load)
