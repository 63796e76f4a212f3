/*
 * A protocol client written for speed, which a dump by the door is compared with: one
 * connection on which memcached lists its keys, another on which each is asked for, many
 * at a time, and a thread for each that is to be read or written.
 *
 *     dump SOCKET FILE ITEMS
 *
 * It writes memcached's answers to FILE as they come, and prints the seconds from the
 * first command to the last answer. There are to be so many ITEMS.
 */
#define _GNU_SOURCE
#include "clock.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER (1 << 20)

static const char *path;
static int fetching; /* the connection on which items are asked for */
static long listed;  /* how many have been */
static bool asked;   /* atomic: all have been; before, what looks like the last answer is a value */

static int dial(void) {
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int sock = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(to.sun_path, sizeof to.sun_path, "%s", path);
    if (connect(sock, (void *)&to, sizeof to) != 0) {
        err(1, "connect to %s", path);
    }
    return sock;
}

static void write_all(int fd, const char *bytes, size_t n) {
    for (size_t at = 0; at < n;) {
        ssize_t written = write(fd, bytes + at, n - at);
        if (written < 0) {
            err(1, "write");
        }
        at += (size_t)written;
    }
}

/*
 * The list, and how much of it is there. It is read whatever becomes of the requests: memcached
 * holds a lock of items while it writes the list, for which a request may have to wait.
 */
static char *list;
static size_t filled; /* atomic */

#define LIST_ROOM ((size_t)1 << 36) /* only what is used of it is memory */

static bool ended(size_t n) {
    return (n >= 4 && memcmp(list + n - 4, "EN\r\n", 4) == 0) ||
           (n >= 5 && memcmp(list + n - 5, "END\r\n", 5) == 0);
}

static void *read_list(void *unused) {
    (void)unused;
    static const char *const commands[] = {"lru_crawler mgdump hash\r\n",
                                           "lru_crawler metadump hash\r\n"}; /* to 1.6.18 */
    for (unsigned i = 0; i < 2; i++) {
        int from = dial();
        write_all(from, commands[i], strlen(commands[i]));
        size_t n = 0;
        do {
            ssize_t got = read(from, list + n, BUFFER);
            if (got <= 0) {
                err(1, "read");
            }
            n += (size_t)got;
            if (n >= 4 && memcmp(list, "mg ", 3) != 0 && memcmp(list, "key=", 4) != 0) {
                break; /* it does not know the command */
            }
            __atomic_store_n(&filled, n, __ATOMIC_RELEASE);
        } while (!ended(n));
        close(from);
        if (n == filled) {
            break;
        }
    }
    return NULL;
}

/* Asks for the item of a line of the list: "mg KEY", or "key=KEY exp=…". */
static void ask(FILE *requests, const char *line) {
    const char *key = strpbrk(line, "= ") + 1;
    fwrite("mg ", 1, 3, requests);
    fwrite(key, 1, strcspn(key, " \r"), requests);
    fwrite(" k f t v\r\n", 1, 10, requests);
    listed++;
}

static void *ask_for_all(void *unused) {
    (void)unused;
    FILE *requests = fdopen(dup(fetching), "w");
    if (requests == NULL) {
        err(1, "fdopen");
    }
    setvbuf(requests, NULL, _IOFBF, 64 << 10);
    for (size_t at = 0;;) {
        size_t n = __atomic_load_n(&filled, __ATOMIC_ACQUIRE);
        const char *newline = memchr(list + at, '\n', n - at);
        if (newline == NULL) {
            usleep(50);
            continue;
        }
        if (memcmp(list + at, "EN", 2) == 0) {
            break;
        }
        ask(requests, list + at);
        at = (size_t)(newline + 1 - list);
    }
    __atomic_store_n(&asked, true, __ATOMIC_RELEASE);
    fwrite("mn\r\n", 1, 4, requests);
    fclose(requests);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        errx(2, "usage: dump SOCKET FILE ITEMS");
    }
    path = argv[1];
    int to = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600);
    char *buffer = malloc(BUFFER);
    if (to < 0 || buffer == NULL) {
        err(1, "%s", argv[2]);
    }
    fetching = dial();

    list = mmap(NULL, LIST_ROOM, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (list == MAP_FAILED) {
        err(1, "memory");
    }

    double began = now();
    pthread_t reading, asking;
    if ((errno = pthread_create(&reading, NULL, read_list, NULL)) != 0 ||
        (errno = pthread_create(&asking, NULL, ask_for_all, NULL)) != 0) {
        err(1, "pthread_create");
    }
    size_t kept = 0; /* the end of the last answer, which may have come in two pieces */
    for (;;) {
        ssize_t n = read(fetching, buffer + kept, BUFFER - kept);
        if (n <= 0) {
            err(1, "read");
        }
        size_t there = kept + (size_t)n;
        if (__atomic_load_n(&asked, __ATOMIC_ACQUIRE) && there >= 4 &&
            memcmp(buffer + there - 4, "MN\r\n", 4) == 0) {
            write_all(to, buffer, there);
            break;
        }
        kept = there < 4 ? there : 4;
        write_all(to, buffer, there - kept);
        memmove(buffer, buffer + there - kept, kept);
    }
    pthread_join(asking, NULL);
    if (listed != atol(argv[3])) {
        errx(1, "%ld items of %s were listed", listed, argv[3]);
    }
    printf("%.6f\n", now() - began);
    return 0;
}
