/*
 * A protocol client written for speed, which the door is compared with: one
 * connection, the file mapped, commands without answers, one large write after
 * the other.
 *
 *     protocol ms|set SOCKET FILE        SOCKET: a unix socket's path, or a port of 127.0.0.1
 *
 * It prints the seconds from the first command to the answer of the last.
 */
#define _GNU_SOURCE
#include "clock.h"

#include <arpa/inet.h>
#include <err.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BUFFER (256 << 10)
/* A command's words, its key and its numbers. */
#define OVERHEAD 512

static char *buffer;
static size_t filled;
static int sock;

static void flush(void) {
    for (size_t at = 0; at < filled;) {
        ssize_t n = write(sock, buffer + at, filled - at);
        if (n < 0) {
            err(1, "write");
        }
        at += (size_t)n;
    }
    filled = 0;
}

static void append(const char *bytes, size_t n) {
    memcpy(buffer + filled, bytes, n);
    filled += n;
}

static void append_number(size_t n) {
    char digits[20];
    int at = sizeof digits;
    do {
        digits[--at] = (char)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    append(digits + at, sizeof digits - (size_t)at);
}

static void row(int meta, const char *key, size_t nkey, const char *value, size_t nvalue) {
    if (filled + nvalue + OVERHEAD > BUFFER) {
        flush();
    }
    append(meta ? "ms " : "set ", meta ? 3 : 4);
    append(key, nkey);
    append(meta ? " " : " 0 0 ", meta ? 1 : 5);
    append_number(nvalue);
    append(meta ? " q\r\n" : " noreply\r\n", meta ? 4 : 10);
    append(value, nvalue);
    append("\r\n", 2);
}

static void dial(const char *to) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int local = strchr(to, '/') != NULL;
    sock = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
    snprintf(un.sun_path, sizeof un.sun_path, "%s", to);
    in.sin_port = htons((unsigned short)atoi(to));
    if (connect(sock, local ? (void *)&un : (void *)&in, local ? sizeof un : sizeof in) != 0) {
        err(1, "connect to %s", to);
    }
}

int main(int argc, char **argv) {
    if (argc != 4) {
        errx(2, "usage: protocol ms|set SOCKET FILE");
    }
    int meta = strcmp(argv[1], "ms") == 0;
    struct stat st;
    int file = open(argv[3], O_RDONLY);
    if (file < 0 || fstat(file, &st) != 0) {
        err(1, "%s", argv[3]);
    }
    char *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0);
    buffer = malloc(BUFFER);
    if (at == MAP_FAILED || buffer == NULL) {
        err(1, "memory");
    }
    dial(argv[2]);

    double began = now();
    for (const char *end = at + st.st_size; at < end;) {
        char *newline = memchr(at, '\n', (size_t)(end - at));
        char *tab = memchr(at, '\t', (size_t)(end - at));
        if (newline == NULL || tab == NULL || tab > newline) {
            errx(1, "not a row");
        }
        row(meta, at, (size_t)(tab - at), tab + 1, (size_t)(newline - tab - 1));
        at = newline + 1;
    }
    /* The answer to a no-op says that everything before it is done. */
    append(meta ? "mn\r\n" : "version\r\n", meta ? 4 : 9);
    flush();
    char answer[256];
    ssize_t n = read(sock, answer, sizeof answer);
    if (n < 2 || memcmp(answer, meta ? "MN" : "VE", 2) != 0) {
        errx(1, "memcached answered %.*s", (int)(n > 0 ? n : 0), answer);
    }
    printf("%.6f\n", now() - began);
    return 0;
}
