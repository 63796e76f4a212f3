// Command client passes its input to a running memcached, where the preloaded
// library stores it: by default, rows of a key, a tab and a value.
//
//	mysql --batch --default-character-set=utf8mb4 -N -e "SELECT CONCAT('user_', id), bio FROM user WHERE bio IS NOT NULL" | client load --from mysql
//
// # What is printed where
//
// The outcome goes to standard output: one summary line, or with --json one
// document. Everything else goes to standard error: rejected rows, and errors,
// as one line "error: ..." that begins in lower case and ends without a period,
// and one line "hint: ..." if the user can do something. The exit statuses are in
// exit.go.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

func main() {
	os.Exit(run(os.Args[1:]))
}

// run does what the arguments say and returns the exit status.
func run(args []string) int {
	var line commandLine
	parser, err := newParser(&line)
	if err != nil {
		panic(err) // a tag of the struct is wrong
	}
	for _, arg := range args {
		// kong passes arguments through JSON (scanner.go: PopValueInto), as a request is passed, and each such byte
		// would become another character there.
		if !utf8.ValidString(arg) {
			return report(usageError{fmt.Errorf("the argument %q is not UTF-8", arg)}, "")
		}
	}
	if err := misspelt(parser.Model.Node, args); err != nil {
		return report(err, "")
	}
	ctx, err := parser.Parse(args)
	if err != nil {
		if e, ok := errors.AsType[*kong.ParseError](err); ok {
			ctx = e.Context
		}
		return report(usageError{err}, selected(ctx))
	}
	if err := emptyOption(ctx); err != nil {
		return report(err, selected(ctx))
	}
	return report(ctx.Run(&line), selected(ctx))
}

// emptyOption refuses an option whose value is empty, such as --key "$UNSET": it would mean that the option was not given.
// No quote and no escape are said so.
func emptyOption(ctx *kong.Context) error {
	for _, flag := range ctx.Flags() {
		text, ok := ctx.FlagValue(flag).(string)
		if ok && text == "" && flag.Set && flag.Name != "quote" && flag.Name != "escape" {
			return usageError{fmt.Errorf("--%s is empty", flag.Name)}
		}
	}
	return nil
}

// selected is the command that was chosen, "" if none was.
func selected(ctx *kong.Context) string {
	if ctx == nil || ctx.Selected() == nil {
		return ""
	}
	return ctx.Selected().Name
}

func newParser(line *commandLine) (*kong.Kong, error) {
	return kong.New(line,
		kong.Name(programName()),
		kong.Description("Fill a running memcached through its back door: rows of a key, a tab and a value go from standard input, or from files, into the cache."),
		kong.Vars{"version": versionFacts()},
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 100}),
	)
}

// report prints the error of a command, unless it is silent, and returns the exit
// status.
func report(err error, command string) int {
	status, message, hint := explain(err)
	if _, ok := errors.AsType[usageError](err); ok && hint == "" {
		hint = fmt.Sprintf(`"%s --help" shows how it is used`, strings.TrimSpace(programName()+" "+command))
	}
	if message != "" {
		fmt.Fprintf(os.Stderr, "error: %s\n", message)
	}
	if hint != "" {
		fmt.Fprintf(os.Stderr, "hint: %s\n", hint)
	}
	return status
}

// programName is the client's name, which differs where it is installed.
func programName() string { return filepath.Base(os.Args[0]) }
