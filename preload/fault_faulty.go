//go:build faulty

package main

import "os"

// beforeAnswer makes the library fail as the file named in the environment says:
// a build of it, made by `make test` only, shows that no fault of ours reaches
// memcached.
func beforeAnswer() {
	fault, _ := os.ReadFile(os.Getenv("MEMCACHED_BACKDOOR_FAULT"))
	switch string(fault) {
	case "panic":
		panic("as asked")
	case "nil":
		var nothing *struct{ field int }
		nothing.field = 1
	}
}
