/* The report of the proof's child, in a page that it shares with the parent. */
#ifndef REPORT_H
#define REPORT_H

#include "backdoor.h"

/* What the child has found so far. */
extern struct backdoor_proof_report proof;

/* Where it is reported. */
void report_to(struct backdoor_proof_report *page);

/* Reports it.  The parent reads it when the child has ended. */
void report_write(void);

/*
 * Ends the child: the proof cannot be made now, which says nothing about the functions.
 * error is an errno or 0.
 */
_Noreturn void hindered(const char *reason, int error);

#endif
