package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"text/tabwriter"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/version"
)

// The commit that was built and its date, set by the Makefile.
var commit, committed string

// build is what this build was made from; an unknown fact is "".
type build struct{ version, commit, committed string }

// builtFrom returns what the Makefile set, else what the go command has recorded.
func builtFrom() build {
	b := build{version.String(), commit, committed}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.commit = cmp.Or(b.commit, s.Value)
			case "vcs.time":
				b.committed = cmp.Or(b.committed, s.Value)
			}
		}
	}
	return b
}

// versionFacts is what --version prints, one fact a line.
func versionFacts() string {
	b := builtFrom()
	var s strings.Builder
	w := tabwriter.NewWriter(&s, 0, 0, 2, ' ', 0)
	for _, fact := range [][2]string{
		{"version", b.version},
		{"commit", b.commit},
		{"committed", b.committed},
		{"go", runtime.Version()},
		{"platform", runtime.GOOS + "/" + runtime.GOARCH},
		{"protocol", fmt.Sprint(door.Protocol)},
	} {
		if fact[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", fact[0], fact[1])
		}
	}
	w.Flush()
	return strings.TrimSuffix(s.String(), "\n")
}
