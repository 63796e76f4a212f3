/* What the proof's child (prove.c) does first. */
#ifndef ISOLATE_H
#define ISOLATE_H

/*
 * Isolates the child from memcached, except for the page of the report, which both share, and
 * limits its processor time (SIGXCPU).  If it fails, the child ends, hindered.
 */
void isolate(const void *report);

#endif
