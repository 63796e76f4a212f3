#define _GNU_SOURCE
#include "log.h"

#include "fd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* Held while a line is written, so that its descriptor is not closed, and its number taken,
 * meanwhile. It is held for a short time only: a write does not wait. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int to = STDERR_FILENO; /* -1: none */
/* How many lines found no room; the next line that finds room is written with their number. */
static unsigned lost;

/*
 * poll(2) calls a terminal writable that has room for a part of a line, and a write of all of it
 * waits.  So a terminal is opened anew, with O_NONBLOCK: another description, which is not shared.
 * If that is not allowed (another user's terminal), a write does not wait as long as the terminal
 * is read.
 */
static int open_terminal(void) {
    return isatty(STDERR_FILENO)
               ? open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
               : -1;
}

void log_keep_stderr(void) {
    int fd = open_terminal();
    if (fd < 0) {
        fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    }
    to = fd >= 0 ? fd_move_high(fd) : -1;
}

/* Does memcached's stderr lead to the terminal that was opened anew? */
static bool is_reopened_terminal(void) {
    struct stat opened, current;
    return isatty(to) && (fcntl(to, F_GETFL) & O_NONBLOCK) != 0 && fstat(to, &opened) == 0 &&
           fstat(STDERR_FILENO, &current) == 0 && opened.st_rdev == current.st_rdev;
}

void log_release_stderr(void) {
    pthread_mutex_lock(&lock);
    if (to >= 0 && to != STDERR_FILENO && !is_reopened_terminal()) {
        close(to);
        to = STDERR_FILENO;
    }
    pthread_mutex_unlock(&lock);
}

/*
 * One write that does not wait, even if a pipe is full or a terminal was stopped (^S).  O_NONBLOCK
 * is not set, since memcached and other processes share the description.  Returns false if the line
 * was not written, or not to its end.
 *
 * Since Linux 6.4 a write to a pipe takes a flag for that (RWF_NOWAIT).  Otherwise poll(2) is
 * called first: a pipe that it calls writable has room for a line (PIPE_BUF), unless another
 * process fills it in between.  A write to a regular file never waits.
 */
static bool write_now(int fd, const char *line, size_t length) {
    struct stat st;
    ssize_t n = -1;
    if (fstat(fd, &st) != 0) {
        return false;
    }
    if (S_ISSOCK(st.st_mode)) {
        n = send(fd, line, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        return n == (ssize_t)length;
    }
    if (S_ISFIFO(st.st_mode)) {
        const struct iovec piece = {(void *)line, length};
        n = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
        if (n > 0 || errno == EAGAIN || errno == EPIPE) {
            return n > 0;
        }
    }
    struct pollfd room = {.fd = fd, .events = POLLOUT};
    if (S_ISREG(st.st_mode) || (poll(&room, 1, 0) == 1 && (room.revents & POLLOUT) != 0)) {
        n = write(fd, line, length);
    }
    return n == (ssize_t)length;
}

/* write_now without SIGPIPE, which would end memcached until it has set its handlers: a stderr
 * whose reader has gone must not end it. */
static bool write_quietly(int fd, const char *line, size_t length) {
    const struct timespec now = {0, 0};
    sigset_t pipe, pending, saved;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    sigpending(&pending);
    pthread_sigmask(SIG_BLOCK, &pipe, &saved);
    bool written = write_now(fd, line, length);
    if (!written && errno == EPIPE && !sigismember(&pending, SIGPIPE)) {
        sigtimedwait(&pipe, NULL, &now); /* it was sent to this thread */
    }
    pthread_sigmask(SIG_SETMASK, &saved, NULL);
    return written;
}

static void write_line(const char *line, size_t length) {
    char missing[128];
    if (lost > 0) {
        int n = snprintf(missing, sizeof missing,
                         "memcached-backdoor: %u line%s missing here: nobody read\n", lost,
                         lost == 1 ? " is" : "s are");
        if (!write_quietly(to, missing, (size_t)n)) {
            lost++;
            return;
        }
    }
    /* One write, so that lines of several processes do not mix. */
    lost = write_quietly(to, line, length) ? 0 : 1;
}

void say(const char *format, ...) {
    static const char name[] = "memcached-backdoor: ";
    int saved = errno;
    char line[PIPE_BUF]; /* a panic comes with its stack */
    size_t length = sizeof name - 1;
    va_list args;

    memcpy(line, name, length);
    va_start(args, format);
    int n = vsnprintf(line + length, sizeof line - length, format, args);
    va_end(args);
    if (n > 0) {
        size_t room = sizeof line - length - 1;
        length += (size_t)n < room ? (size_t)n : room - 1;
        line[length++] = '\n';
        pthread_mutex_lock(&lock);
        write_line(line, length);
        pthread_mutex_unlock(&lock);
    }
    errno = saved;
}

void say_line(const char *line) {
    say("%s", line);
}
