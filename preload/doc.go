// Command preload is the library: backdoor.so, loaded with LD_PRELOAD into a
// stock memcached.
//
// It is loaded into every process of the command line that sets LD_PRELOAD, and
// is inert in all of them but memcached.  In order:
//
//  1. The loader calls backdoor_initialize (entry, constructor.c) in the place of Go's own
//     initialiser.  It looks whether the program is memcached (host.c).  In a foreign
//     program that is all, and nothing of Go ever runs.
//  2. In memcached it notes the signal handlers that stand, blocks signals, since Go's threads
//     inherit that, and calls Go's initialiser, with an environment of our own.  The one
//     thread that this asks for is held back (runtime.c): nothing of Go runs yet.
//  3. It puts handlers and mask back (signals.c), opens the program's file and attaches the
//     door (door.c), with the rights of whoever started memcached, before -u drops them.
//  4. memcached parses its options, drops its rights, forks for -d, starts its
//     workers.  Each worker, on its way into its event loop, gets an event of ours
//     (interpose.c, cache/worker.c).
//  5. memcached's main thread enters its loop: memcached_ready makes the thread
//     that was held back and one that enters Go, and main goes on at once.  Where there
//     are fixtures it sees no connection until they are loaded (fixtures.c).  Where
//     libevent is part of the program, or main gives up system calls (seccomp), the
//     moment is another (interpose.c), and workers cannot be reached.
//  6. That thread serves the door (serve.go): it finds memcached's functions
//     (host), proves them in a forked child (cache), loads the fixtures (fixtures), and
//     takes calls (door).  A load (load) reads rows (record) into batches (batch), and
//     says what memory they need (slabs) and where it broke off (resume.go); a dump
//     (dump) walks through all items (walk) and writes them down.  Where there is no using
//     the functions, both go over a connection to memcached itself (protocol); engine.go
//     decides.
//  7. memcached ends as it decides, or, if it is told to, when its cache has been saved
//     (save.c, save.go).  at_exit unlinks the door, if it may.
//
// No Go runs on a thread of memcached's, and no C of ours waits there, but for its main
// thread's in the place of epoll_wait while fixtures load.  Items are touched by
// memcached's workers only: in slices between their connections' work, or, by protocol, as
// any connection's.
//
// The names that are interposed (exports.map) are all in C; nothing else is exported.
package main
