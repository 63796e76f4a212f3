/* What the proof's child (prove.c) does first, and how it ends when it is hindered. */
#ifndef ISOLATE_H
#define ISOLATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Isolates the child from memcached, except for the page of the report, which both share, and
 * limits its processor time (SIGXCPU).  If it fails, the child ends, hindered.
 */
void isolate(const void *report);

/*
 * Ends the child: the proof cannot be made now, which says nothing about the functions.
 * error is an errno or 0.
 */
_Noreturn void hindered(const char *reason, int error);

#endif
