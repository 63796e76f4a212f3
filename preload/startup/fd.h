/* File descriptors and paths. */
#ifndef FD_H
#define FD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>

typedef int setrlimit_fn(__rlimit_resource_t resource, const struct rlimit *limit);

/*
 * Called in place of memcached's setrlimit of RLIMIT_NOFILE: sets a higher limit than asked, so
 * that the library has numbers of its own.  Returns false if it has set none.
 */
bool fd_reserve(setrlimit_fn *real, const struct rlimit *asked);

/* The first reserved number; 0 if none are. */
int fd_first(void);

/* How many of the reserved numbers are for calls. */
unsigned fd_for_calls(void);

/* Moves fd to a number that memcached does not count on.  Closes fd if it could be moved. */
int fd_move_high(int fd);

/*
 * Writes path to to, with the current directory before it if it is relative: memcached's -d changes
 * that directory later.  Returns false and writes "" if the result is longer than room or the
 * current directory is unknown; errno says which.
 */
bool absolute_path(char *to, size_t room, const char *path);

#endif
