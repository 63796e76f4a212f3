/* Makes libevent wait as its version 2.2 does, with epoll_pwait2. */
#include <stddef.h>
#include <sys/epoll.h>
#include <time.h>

int epoll_pwait2(int, struct epoll_event *, int, const struct timespec *, const sigset_t *);

int epoll_wait(int epfd, struct epoll_event *events, int maxevents, int timeout) {
    const struct timespec limit = {timeout / 1000, timeout % 1000 * 1000000L};
    return epoll_pwait2(epfd, events, maxevents, timeout < 0 ? NULL : &limit, NULL);
}
