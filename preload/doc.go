// Command preload is the library: backdoor.so, loaded with LD_PRELOAD into a stock memcached.
//
// # Layout
//
//   - main.go has the one function that C calls.
//   - startup is the C before and around Go: whether the program is memcached, the door's socket, when Go starts, what
//     is interposed. It has a README.
//   - server answers the door's calls: load, dump, delete, touch, hot, status, resume; it loads the fixtures and saves the cache.
//   - engine decides how rows are stored and items read, natively or by protocol, and knows nothing of the door.
//   - door, record, load, limits, batch, dump, walk, filter, change, fixtures: calls and messages, formats, and what passes
//     between; the options of record, limits, dump, filter, change and hot are those of a request, and option has their errors.
//   - cache is the native engine (C and Go on memcached's workers), host finds memcached's functions in its program,
//     protocol and meta are the engine by protocol, slabs estimates memory, stats reads memcached's statistics.
//   - unstored has the reasons for which a load does not store a good row.
//   - hot finds the keys with the most requests in memcached's log, which protocol reads.
//   - entry, poll, descriptor, pages, version, clip: where the loader enters, waiting for descriptors, memory that C sees, the release,
//     texts in messages.
//   - fault makes the library fail where a test asks for it, only in builds with the tag faulty.
//
// # A life
//
// The library is loaded into every process of the command line that sets LD_PRELOAD, and is inert in all of them but
// memcached. In order:
//
//  1. The loader calls backdoor_initialize (entry, startup/lifecycle.c) in place of Go's own initialiser. It looks
//     whether the program is memcached (startup/program.c). In any other program that is all, and nothing of Go ever runs.
//  2. In memcached it saves the signal handlers, blocks signals, since Go's threads inherit the mask, and calls Go's
//     initialiser, with an environment of the library's. The one thread that the initialiser asks for is kept back
//     (startup/runtime.c): nothing of Go runs yet.
//  3. It restores handlers and mask (startup/signals.c), opens the program's file, reads the environment, and attaches the door
//     (startup/listen.c), with the rights of the user who started memcached, before -u drops them.
//  4. memcached parses its options, drops its rights, forks for -d, starts its workers. Each worker, before it enters
//     its event loop, gets the library's event (startup/interpose.c, cache/enter.c).
//  5. memcached's main thread enters its loop: memcached_ready makes the thread that was kept back and one that enters
//     Go, and main continues at once. With fixtures the gate is closed until they are loaded (startup/gate.c). If
//     libevent is part of the program, or main gives up system calls (seccomp), the moment is another
//     (startup/interpose.c), and workers cannot be reached.
//  6. That thread serves the door (server.Serve): engine finds memcached's functions (host) and proves them in a forked
//     child (cache); server loads the fixtures (fixtures) and takes calls (door). A load (load) reads rows (record)
//     into batches (batch), says what memory they need (slabs) and where it was interrupted (server/resume.go); a dump (dump) walks
//     all items (walk) and writes them; a delete or a touch (change) changes those that are wanted (filter). If the functions
//     cannot be used, all use a connection to memcached itself
//     (protocol); engine decides.
//  7. memcached ends as it decides, or, if it is told to, when its cache has been saved (startup/shutdown.c,
//     server/save.go). at_exit unlinks the door, if it may.
//
// No Go runs on a thread of memcached's, and no C of the library waits there, except on its main thread, in place of
// epoll_wait, while fixtures load. Items are touched by memcached's workers only: in slices between their connections'
// work, or, by protocol, as any connection's.
//
// The names that are interposed (exports.map) are all in C; nothing else is exported.
//
// # Glossary
//
// One word for each thing; the code uses these.
//
//   - engine: how rows are stored and items read: native (memcached's own functions), protocol (its commands) or none
//   - route: how memcached's functions were found in its program: exported, symtab, debug or scan
//   - proof: the functions are called in a forked child before memcached's own process uses them
//   - hindered: a proof that could not be made now, and is tried again
//   - worker: a worker thread of memcached's
//   - job: work for a worker, such as storing a batch
//   - slice: the time that a job may use on a worker at once
//   - turn: the one worker that runs jobs has it
//   - row: key, value and options, from the input
//   - item: what memcached stores
//   - synthetic item: one that has no row, or many of one: mocks, fill
//   - batch: rows that one job stores
//   - in flight: a batch that was submitted and is not finished
//   - eof: the end of the input
//   - store, reject, skip: what becomes of a row; rows read = stored + rejected + skipped
//   - reason: why something cannot be
//   - live: an item that can be read
//   - stale, won: memcached's marks: invalidated and still served; a client was told to make the value anew
//   - delimiter: separates the parts of a key
//   - table, bucket, chain: memcached's hash table (assoc.c)
//   - growth: the table is replaced by a larger one (assoc.c: assoc_expand)
//   - walk: meets every live item once, or those of listed keys
//   - filter, condition: which items are meant
//   - change: items that a walk has met are deleted, invalidated or touched, if they are still the same
//   - spared, gone, left: what else becomes of an item that was met; items met = changed + spared + gone + left
//   - source, target: what items are read from, or a client's input; what rows are stored by, or a client's output
//   - dump, restore: all items to a file, and back
//   - load, save: rows from a descriptor into the cache; the cache to a file when memcached ends
//   - truncated: a dump without mn at its end
//   - log: of memcached's requests, a line each (logger.c); a watch reads it
//   - burst, fold: a time in which the log is read; what was seen is scaled up to what was served
//   - door: the unix socket
//   - call, request, reply: one connection to the door, its message, and the answers
//   - place: a call takes one
//   - fixtures: files that are loaded before memcached accepts its first connection
//   - gate: holds connections back until then
//   - limit: a bound of time or size
//   - pause: the time between two tries
package main
