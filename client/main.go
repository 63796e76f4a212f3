// Command client passes its input into a running memcached, where the library
// that was preloaded there stores it: rows of the form key, tab, value.
//
//	mysql -N -e "SELECT CONCAT('user_', id), bio FROM user" | client
//
// # What is printed where
//
// The outcome goes to standard output: one summary line, or with --json one
// document. Everything else goes to standard error: rejected rows, and errors,
// as one line "error: ..." with no capital at its beginning and no period at
// its end, and then, where there is a way out, one line "hint: ...". The exit
// statuses are in exit.go.
package main

import (
	"fmt"
	"os"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// version is the version of this build, set by the linker (-X main.version).
var version string

func main() {
	os.Exit(run(os.Args[1:]))
}

// run does what the arguments say and returns the exit status.
func run(args []string) int {
	var line commandLine
	parser := kong.Must(&line,
		kong.Name("client"),
		kong.Description("Fill a running memcached through its back door: rows of a key, a tab and a value go from standard input, or from files, into the cache."),
		kong.Vars{"version": buildVersion()},
		kong.Help(helpWithStatuses),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
	ctx, err := parser.Parse(args)
	if err != nil {
		return report(usageError{err})
	}
	return report(ctx.Run(&line))
}

// report prints an error, if there is one to be printed, and returns the exit
// status.
func report(err error) int {
	status, message, hint := explain(err)
	if message != "" {
		fmt.Fprintf(os.Stderr, "error: %s\n", message)
	}
	if hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", hint)
	}
	return status
}

// buildVersion returns what the linker was told, or what the go command knows.
func buildVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
