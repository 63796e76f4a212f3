/* The environment variables that the library obeys. */
#ifndef ENV_H
#define ENV_H

#include <limits.h>
#include <stdbool.h>

struct environment {
    const char *door;        /* MEMCACHED_BACKDOOR: the door's path; "" if not set */
    const char *door_mode;   /* MEMCACHED_BACKDOOR_MODE; NULL if not set */
    const char *door_group;  /* MEMCACHED_BACKDOOR_GROUP; NULL if not set */
    const char *runtime_dir; /* XDG_RUNTIME_DIR, an absolute path; "" if not set */

    const char *fixtures; /* MEMCACHED_BACKDOOR_PRELOAD: a list of paths; "" if there are none */
    char directory[PATH_MAX]; /* that they are relative to; "" if it is unknown */
    bool strict;              /* MEMCACHED_BACKDOOR_PRELOAD_STRICT */

    char save[PATH_MAX]; /* MEMCACHED_BACKDOOR_SAVE: an absolute path; "" if not set */
    int save_errno;      /* the reason why that path cannot be used, or 0 */
    int save_limit;      /* MEMCACHED_BACKDOOR_SAVE_LIMIT: seconds; 0 if it is no such number */
};

/* Filled by env_read, then constant. */
extern struct environment env;

/*
 * Reads the environment, once, when the library is loaded: memcached's -d changes the directory
 * later.  secure_getenv(3): in a setuid program nothing is set.
 */
void env_read(void);

#endif
