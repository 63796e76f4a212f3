/* The program that the library is loaded into, and what its threads can do. */
#ifndef PROGRAM_H
#define PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Looks at the program in memory, without a system call or an allocation; returns whether it is
 * memcached.  Called once, before anything else.
 */
bool program_recognize(void);
bool program_is_memcached(void);

/* Does address lie in the program itself, not in a library? */
bool program_contains(uintptr_t address);

/* The load bias: an address in this process minus the same address in the file. */
uintptr_t program_bias(void);

/* Opens the program's own file, while memcached still has the rights to do so. */
void program_open(void);
void program_close(void);

/* The descriptor of the program's file, or a negative errno. */
int program_file(void);

/* The absolute path of that file; "" if it is not open. */
char *program_path(void);

/* Is libevent a shared library of its own?  If not, its functions cannot be interposed. */
bool program_links_libevent(void);

/* Is the calling thread the main thread? */
bool on_main_thread(void);

/* A thread is about to load a seccomp filter. */
void program_note_seccomp(void);

/* Has a thread loaded a seccomp filter (-o drop_privileges)? */
bool program_has_seccomp(void);

/* The reason why memcached's workers cannot run jobs, or NULL.  Known when memcached is ready. */
const char *workers_reason(void);

#endif
