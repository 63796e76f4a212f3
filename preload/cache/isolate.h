/* What the proof's child does first, and how it says that it cannot go on (prove.c). */
#ifndef ISOLATE_H
#define ISOLATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Cuts the child off from memcached, but for the page of the report, which both have, and
 * bounds its processor time (SIGXCPU).  It returns or the child ends, hindered.
 */
void isolate(const void *report);

/*
 * Ends the child: the proof cannot be made now, which says nothing against the functions.
 * error is an errno or 0.
 */
_Noreturn void hindered(const char *what, int error);

#endif
