package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

type helpCommand struct {
	Command string `arg:"" optional:"" name:"COMMAND" help:"The command to show the help of."`
}

// Run prints the help as --help does.
func (c *helpCommand) Run(ctx *kong.Context) error {
	args := []string{"--help"}
	if c.Command != "" {
		if childOf(ctx.Model.Node, c.Command) == nil {
			return usageError{fmt.Errorf("there is no command %q%s", c.Command, didYouMean(ctx.Model.Node, c.Command))}
		}
		args = []string{c.Command, "--help"}
	}
	_, err := ctx.Kong.Parse(args) // prints the help and exits
	return err
}

type versionCommand struct{}

// Run prints what --version prints.
func (c *versionCommand) Run(ctx *kong.Context) error {
	if _, err := fmt.Println(ctx.Model.Vars()["version"]); err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// misspelt is the error of a command line whose first word is nearly a command and would be taken for a file, of the
// default command, that does not exist; nil: it is not. What follows a flag of a command may be that flag's value.
func misspelt(commands *kong.Node, args []string) error {
	for len(args) > 0 && isFlag(args[0]) {
		switch {
		case args[0] == "--json", strings.HasPrefix(args[0], "--door="):
			args = args[1:]
		case args[0] == "--door" && len(args) > 1:
			args = args[2:]
		default:
			return nil
		}
	}
	if len(args) == 0 || childOf(commands, args[0]) != nil {
		return nil
	}
	meant := didYouMean(commands, args[0])
	if _, err := os.Stat(args[0]); meant == "" || !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return usageError{fmt.Errorf("there is no file and no command %q%s", args[0], meant)}
}

// didYouMean is the end of a message about a word that is nearly a command; "": it is not.
func didYouMean(commands *kong.Node, word string) string {
	best, name := 3, "" // two mistakes, such as letters that have changed places
	for _, command := range commands.Children {
		if strings.HasPrefix(command.Name, "__") {
			continue
		}
		// Of a short name at least half is to be right: "a" is not nearly "man".
		if n := distance(word, command.Name); n < best && n <= len(command.Name)/2 {
			best, name = n, command.Name
		}
	}
	if name == "" {
		return ""
	}
	return ": did you mean " + name + "?"
}

// distance is the number of bytes to insert, delete or replace that makes b of a (Levenshtein's).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // distances of the beginning of a to all beginnings of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
