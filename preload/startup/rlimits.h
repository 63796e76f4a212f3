#ifndef RLIMITS_H
#define RLIMITS_H

/* The reason why the process's limits do not allow for a door, or NULL. */
const char *rlimits_reason(void);

#endif
