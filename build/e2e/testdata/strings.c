/*
 * The literals that memcached is known by, and libevent's loop, but none of its
 * code.  It says "ready" in its loop and ends with status 7 at SIGTERM.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

const char *const literals[] = {
    "MEMCACHED_PORT_FILENAME",
    "listen_disabled_num",
    "memcached 1.6.18",
    "VERSION 1.6.18",
    "CLIENT_ERROR bad data chunk",
    "SERVER_ERROR object too large for cache",
    "SERVER_ERROR Out of memory during read",
};

static void stop(evutil_socket_t signal, short what, void *base) {
    (void)signal;
    (void)what;
    event_base_loopbreak(base);
}

static void ready(evutil_socket_t none, short what, void *arg) {
    (void)none;
    (void)what;
    (void)arg;
    puts("ready");
    fflush(stdout);
}

int main(void) {
    /* As memcached does, for its connections. */
    const struct rlimit limit = {1024, 1024};
    setrlimit(RLIMIT_NOFILE, &limit);
    struct event_base *base = event_base_new();
    struct event *term = evsignal_new(base, SIGTERM, stop, base);
    struct timeval now = {0, 0};
    if (base == NULL || term == NULL || event_add(term, NULL) != 0 ||
        event_base_once(base, -1, EV_TIMEOUT, ready, NULL, &now) != 0) {
        return 1;
    }
    event_base_dispatch(base);
    return 7;
}
