#include "preload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int to = STDERR_FILENO;

void say_hold(void) {
    int fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (fd >= 0) {
        to = high_descriptor(fd);
    }
}

void say_release(void) {
    if (to != STDERR_FILENO) {
        close(to);
        to = STDERR_FILENO;
    }
}

void say(const char *format, ...) {
    static const char name[] = "memcached-backdoor: ";
    int saved = errno;
    char line[4096]; /* a panic comes with its stack */
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
        /* One write, so that lines of several processes do not mix.  It may fail: nothing to do. */
        ssize_t written = write(to, line, length);
        (void)written;
    }
    errno = saved;
}

/* say for Go, which cannot call variadic functions. */
void backdoor_say(const char *line) {
    say("%s", line);
}
