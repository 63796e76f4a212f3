/* What the C files of the library's outermost layer know of each other. */
#ifndef PRELOAD_H
#define PRELOAD_H

#define _GNU_SOURCE
#include "backdoor.h"

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/*
 * One line on stderr, with our name before it.  It never waits: where there is no room for it
 * the line is lost, and counted in the next one.  errno is kept.  From say_hold to
 * say_release it goes to the stderr that memcached was started with, which its -d
 * would have closed.
 */
void say_hold(void);
void say_release(void);
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void backdoor_say(const char *line);

/*
 * The host.  host_recognize looks at the program that we were loaded into, in
 * memory, without a system call or an allocation; it is called once, before
 * anything else.
 */
bool host_recognize(void);
bool host_is_memcached(void);
/* Does address lie in the program itself, not in a library? */
bool host_contains(uintptr_t address);
/* The load bias: address in this process minus address in the file. */
uintptr_t host_bias(void);
/* Opens the program's own file, while we still may; host_file is its descriptor or a negative
 * errno. */
void host_open(void);
void host_close(void);
int host_file(void);
/* Its absolute path, "" when it is not open. */
char *host_path(void);
/* Is libevent a library of its own?  If not, its functions cannot be interposed. */
bool host_links_libevent(void);

/* Why the process's limits do not allow for a door, or NULL. */
const char *limits_objection(void);

/* Signal handlers and mask around the Go runtime's two beginnings. */
void signals_note(void);
void signals_restore(void);
void signals_mask_thread(sigset_t *saved);
void signals_unmask(const sigset_t *saved);
void signals_give_to_go(void);

/* The Go runtime: initialised at load, with an environment of its own; the thread that it
 * asks for is made when memcached is ready. */
typedef void go_initializer(int argc, char **argv, char **envp);
void runtime_initialize(go_initializer *go);
bool runtime_held(void);
int runtime_start(void);

/* The door: a listening socket attached to a path. */
void door_attach(void);
void door_detach(void);
/* Moves the socket to a number of ours, once these are known. */
void door_settle(void);
/* The listening socket, or -1; then door_reason says why there is none. */
int door_socket(void);
const char *door_reason(void);
void door_abandon(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Fixtures of MEMCACHED_BACKDOOR_PRELOAD, noted when we are loaded: a list of paths, "" if there
 * are none, and the directory that they are relative to, "" if it is not known. */
void fixtures_note(void);
bool fixtures_wanted(void);
bool fixtures_strict(void);
const char *fixtures_paths(void);
const char *fixtures_directory(void);
/*
 * Connections are accepted from the beginning, unless connections_hold is called before
 * memcached's loop; then from fixtures_complete on, or fixtures_incomplete, if the caller has
 * said why, or fixtures_not_held, which says why they are accepted before all is loaded.  Where
 * fixtures are strict, the last two end memcached with status 1: its loop fails
 * (memcached.c: main).
 */
void connections_hold(void);
bool connections_held(void);
bool connections_refused(void);
void fixtures_complete(void);
void fixtures_incomplete(void);
void fixtures_not_held(const char *why);
/*
 * Stands before epoll_wait, with its timeout, NULL for none: 1, go on with it; 0, the time is over;
 * -1, it has failed, with errno, or connections are refused.
 */
int connections_wait(const struct timespec *timeout);

/* Saving the cache when memcached is told to end (MEMCACHED_BACKDOOR_SAVE), noted when we are
 * loaded: the file, an absolute path, and for how many seconds memcached's end may wait. */
void save_note(void);
bool save_wanted(void);
const char *save_file(void);
int save_limit(void);
/* For Go: takes the signals that end memcached, and waits for one of them.  Then save_done
 * hands it on to memcached. */
void save_await(void);
void save_done(void);

/*
 * Writes path, or path in the current directory, which memcached's -d changes later.  Answers
 * false, with errno, where it does not fit or that directory is not known, and writes "".
 */
bool absolute_path(char *to, size_t room, const char *path);

/* The real functions behind the names that we interpose; see interpose.c. */
typedef int pthread_create_fn(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                              void *arg);
pthread_create_fn *real_pthread_create(void);

/* libevent's and libseccomp's, interposed; their headers are not needed for more than this. */
int event_base_loop(struct event_base *base, int flags);
int seccomp_load(void *filter);
/* Is the calling thread memcached's main one? */
bool on_main_thread(void);
/* Has a thread of memcached's given up system calls (-o drop_privileges)? */
bool seccomp_loaded(void);
/* Why memcached's workers cannot serve us, or NULL; known when memcached is ready. */
const char *workers_objection(void);
/* What Go calls as pthread_create; see runtime.c. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *),
                          void *arg);

/* Set on every thread that the Go runtime made, and on the one that enters it. */
extern __thread bool thread_is_gos __attribute__((tls_model("initial-exec")));

/* constructor.c: what the loader calls, by way of preload/entry. */
void backdoor_initialize(int argc, char **argv, char **envp, go_initializer *go);

/*
 * memcached is ready: its main thread is about to enter its loop.  Called once.  unheld says
 * why connections cannot be held back there, or is NULL.
 */
void memcached_ready(const char *unheld);

/*
 * Descriptors.  descriptors_set_aside stands before memcached's setrlimit of RLIMIT_NOFILE: it
 * sets a higher limit than asked, or answers false and has set none.
 */
typedef int setrlimit_fn(__rlimit_resource_t resource, const struct rlimit *limit);
bool descriptors_set_aside(setrlimit_fn *real, const struct rlimit *asked);
/* The first number that is ours, 0 where there are none, and how many of ours are for calls. */
int descriptors_from(void);
unsigned descriptors_for_calls(void);
/* Moves a descriptor out of the way of memcached's own numbers; takes it over. */
int high_descriptor(int fd);

/* export.go.  Loads the fixtures, and serves the door, if it is not -1, for the life of the
 * process; takes both descriptors over. */
extern void backdoor_serve(int door, int program, char *path, uintptr_t bias);

#endif
