/*
 * Traffic as memcached's clients make it: nine gets for each set, of keys that
 * exist, on four connections.
 *
 *     traffic SOCKET KEYS RATE
 *
 * RATE is in requests a second, sent when they are due whether or not answers
 * have come (an open loop); with RATE 0 each connection sends a request when it
 * has the answer to the one before (a closed loop).  A latency counts from when
 * the request was due, so that a memcached that stands still, or a late
 * generator, delays in the figures all that it delays in life.
 *
 * It sets the KEYS first and then prints a line "ready".  From then on it prints a
 * line for each tenth of a second, and one for each phase: a line on standard input
 * ends a phase, and standard input's end the program.  An answer counts where it
 * comes.  Times are in seconds since the keys were set, latencies in microseconds:
 *
 *     window END COUNT P50 P99 MAX
 *     phase START END COUNT P50 P99 P99.9 MAX
 */
#define _GNU_SOURCE
#include "histogram.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4
#define WINDOW 100000000ull /* ns */
#define VALUE 100           /* bytes */
#define KEY "traffic_000000"
#define NKEY (sizeof KEY - 1)
#define MAX_KEYS 1000000

#define GET "get " KEY "\r\n"
#define SET "set " KEY " 0 0 100\r\n"
#define SET_QUIETLY "set " KEY " 0 0 100 noreply\r\n"
#define GOT (sizeof "VALUE " KEY " 0 100\r\n" - 1 + VALUE + sizeof "\r\nEND\r\n" - 1)
#define WAS_SET (sizeof "STORED\r\n" - 1)

static unsigned keys;
static char value[VALUE + 2];

static uint64_t now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* What one connection still has to send, and what it waits for. */
#define OUT (1 << 20)
#define IN (256 << 10)
#define QUEUE (1 << 16)
struct request {
    uint64_t due;
    size_t reply; /* bytes */
};
static struct connection {
    int fd;
    char out[OUT], in[IN];
    size_t sent, filled; /* of out */
    size_t received;     /* in in */
    struct request queue[QUEUE];
    size_t head, tail; /* counted up, not wrapped */
} connections[CONNECTIONS];

static void dial(struct connection *c, const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (void *)&address, sizeof address) != 0) {
        err(1, "connect to %s", path);
    }
}

/* Sends what can be sent. */
static void push(struct connection *c) {
    while (c->sent < c->filled) {
        ssize_t n = write(c->fd, c->out + c->sent, c->filled - c->sent);
        if (n < 0 && errno == EAGAIN) {
            return;
        }
        if (n < 0) {
            err(1, "write");
        }
        c->sent += (size_t)n;
    }
    c->sent = c->filled = 0;
}

/* Appends a command with its key's number filled in, and the value if it has one. */
static void append(struct connection *c, const char *command, size_t n, unsigned key, bool valued) {
    char *at = c->out + c->filled;
    memcpy(at, command, n);
    for (char *digit = at + 4 + NKEY; key > 0; key /= 10) {
        *--digit = (char)('0' + key % 10);
    }
    c->filled += n;
    if (valued) {
        memcpy(at + n, value, sizeof value);
        c->filled += sizeof value;
    }
}

/* Answers false, and does nothing, while the connection has no room. */
static bool ask(struct connection *c, uint64_t due) {
    static uint64_t random = 88172645463325252;
    if (c->filled + sizeof SET + sizeof value > OUT || c->tail - c->head == QUEUE) {
        return false;
    }
    random ^= random << 13; /* Marsaglia's xorshift */
    random ^= random >> 7;
    random ^= random << 17;
    bool set = random % 10 == 0;
    unsigned key = (unsigned)((random >> 20) % keys);
    if (set) {
        append(c, SET, sizeof SET - 1, key, true);
    } else {
        append(c, GET, sizeof GET - 1, key, false);
    }
    struct request r = {.due = due, .reply = set ? WAS_SET : GOT};
    c->queue[c->tail++ % QUEUE] = r;
    return true;
}

static struct histogram window, phase;

/* Takes the answers that are there.  Each has a length that is known: no key is ever missing. */
static size_t take(struct connection *c) {
    ssize_t n = read(c->fd, c->in + c->received, IN - c->received);
    if (n < 0 && errno == EAGAIN) {
        return 0;
    }
    if (n <= 0) {
        err(1, "memcached has hung up");
    }
    uint64_t at = now();
    c->received += (size_t)n;
    size_t done = 0, answers = 0;
    for (; c->head != c->tail; c->head++, answers++) {
        const struct request *r = &c->queue[c->head % QUEUE];
        if (c->received - done < r->reply) {
            break;
        }
        if (c->in[done] != (r->reply == GOT ? 'V' : 'S')) {
            errx(1, "memcached answered %.*s", (int)r->reply, c->in + done);
        }
        record(&window, at - r->due);
        record(&phase, at - r->due);
        done += r->reply;
    }
    c->received -= done;
    memmove(c->in, c->in + done, c->received);
    return answers;
}

/* Sets all keys, while the connection still blocks. */
static void set_keys(struct connection *c) {
    memset(value, 'v', VALUE);
    memcpy(value + VALUE, "\r\n", 2);
    for (unsigned key = 0; key < keys; key++) {
        append(c, SET_QUIETLY, sizeof SET_QUIETLY - 1, key, true);
        if (c->filled > OUT / 2 || key == keys - 1) {
            push(c);
        }
    }
    char answer[64];
    if (write(c->fd, "version\r\n", 9) != 9 || read(c->fd, answer, sizeof answer) < 7 ||
        memcmp(answer, "VERSION", 7) != 0) {
        errx(1, "the keys have not been set");
    }
}

static uint64_t began, phase_began;

static double seconds(uint64_t at) {
    return (double)(at - began) / 1e9;
}

static void end_window(uint64_t at) {
    printf("window %.3f %llu %.1f %.1f %.1f\n", seconds(at), (unsigned long long)window.count,
           percentile(&window, 0.5), percentile(&window, 0.99), (double)window.max / 1000);
    memset(&window, 0, sizeof window);
}

static void end_phase(uint64_t at) {
    printf("phase %.3f %.3f %llu %.1f %.1f %.1f %.1f\n", seconds(phase_began), seconds(at),
           (unsigned long long)phase.count, percentile(&phase, 0.5), percentile(&phase, 0.99),
           percentile(&phase, 0.999), (double)phase.max / 1000);
    memset(&phase, 0, sizeof phase);
    phase_began = at;
}

/* Answers false when standard input has ended. */
static bool commanded(void) {
    char lines[16];
    ssize_t n = read(STDIN_FILENO, lines, sizeof lines);
    for (ssize_t i = 0; i < n; i++) {
        if (lines[i] == '\n') {
            end_phase(now());
        }
    }
    return n > 0;
}

static void wait_until(struct pollfd *polled, uint64_t at) {
    for (int i = 0; i < CONNECTIONS; i++) {
        polled[i].events = POLLIN;
        if (connections[i].filled > 0) {
            polled[i].events |= POLLOUT;
        }
    }
    uint64_t from = now(), ns = at > from ? at - from : 0;
    struct timespec timeout = {.tv_sec = (time_t)(ns / 1000000000),
                               .tv_nsec = (long)(ns % 1000000000)};
    if (ppoll(polled, CONNECTIONS + 1, &timeout, NULL) < 0) {
        err(1, "ppoll");
    }
}

static void run(uint64_t rate) {
    struct pollfd polled[CONNECTIONS + 1] = {[CONNECTIONS] = {STDIN_FILENO, POLLIN, 0}};
    for (int i = 0; i < CONNECTIONS; i++) {
        polled[i].fd = connections[i].fd;
        fcntl(connections[i].fd, F_SETFL, O_NONBLOCK);
    }
    began = phase_began = now();
    uint64_t window_end = began + WINDOW, asked = 0;
    for (int i = 0; i < CONNECTIONS && rate == 0; i++) {
        ask(&connections[i], began);
    }
    for (uint64_t at = began;; at = now()) {
        for (; at >= window_end; window_end += WINDOW) {
            end_window(window_end);
        }
        uint64_t wake = window_end;
        while (rate > 0) {
            uint64_t due = began + asked * 1000000000 / rate;
            if (due > at) {
                wake = due < wake ? due : wake;
                break;
            }
            if (!ask(&connections[asked % CONNECTIONS], due)) {
                break; /* its answers, or the end of the window, end the wait */
            }
            asked++;
        }
        for (int i = 0; i < CONNECTIONS; i++) {
            push(&connections[i]);
        }
        wait_until(polled, wake);
        for (int i = 0; i < CONNECTIONS; i++) {
            size_t answers = polled[i].revents & POLLIN ? take(&connections[i]) : 0;
            if (rate == 0 && answers > 0) {
                ask(&connections[i], now());
            }
        }
        if (polled[CONNECTIONS].revents != 0 && !commanded()) {
            return;
        }
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        errx(2, "usage: traffic SOCKET KEYS RATE");
    }
    keys = (unsigned)atoi(argv[2]);
    if (keys == 0 || keys > MAX_KEYS) {
        errx(2, "1 to %d keys", MAX_KEYS);
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    /* Else Linux wakes this thread up to 50 us later than it asked for. */
    prctl(PR_SET_TIMERSLACK, 1);
    for (int i = 0; i < CONNECTIONS; i++) {
        dial(&connections[i], argv[1]);
    }
    set_keys(&connections[0]);
    puts("ready");
    run((uint64_t)atoll(argv[3]));
    return 0;
}
