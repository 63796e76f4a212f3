// Package entry is where the loader enters the library. The Makefile names backdoor_entry to Go's
// linker (-E), which puts it into .init_array in the place of the runtime's own initialiser. It
// calls backdoor_initialize (startup/lifecycle.c) with what the loader passes to initialisers, argc,
// argv and envp, and one argument more: the runtime's initialiser. C decides whether that runs, and
// which environment it sees.
package entry
