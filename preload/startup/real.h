/* The real functions behind the names that interpose.c defines. */
#ifndef REAL_H
#define REAL_H

#include "fd.h"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <time.h>

struct event_base;

typedef int pthread_create_fn(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                              void *arg);
typedef int event_base_loop_fn(struct event_base *base, int flags);
typedef int epoll_wait_fn(int epfd, struct epoll_event *events, int maxevents, int timeout);
typedef int epoll_pwait2_fn(int epfd, struct epoll_event *events, int maxevents,
                            const struct timespec *timeout, const sigset_t *mask);
typedef int seccomp_load_fn(void *filter);

/*
 * Each is looked up at its first use: constructors of other libraries may call it before the
 * library's own constructor has run.  NULL if no library after this one has it.
 */
pthread_create_fn *real_pthread_create(void);
event_base_loop_fn *real_event_base_loop(void);
epoll_wait_fn *real_epoll_wait(void);
epoll_pwait2_fn *real_epoll_pwait2(void);
setrlimit_fn *real_setrlimit(void);
seccomp_load_fn *real_seccomp_load(void);

#endif
