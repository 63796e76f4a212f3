package main

import (
	"cmp"
	"embed"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// shells has a script for each shell, which asks __complete for the words. It does not depend on
// the client's version. PROGRAM is replaced by the client's name.
//
//go:embed shell
var shells embed.FS

type completionCommand struct {
	Shell string `arg:"" name:"SHELL" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Run prints the shell's script.
func (c *completionCommand) Run(ctx *kong.Context) error {
	script, err := shells.ReadFile("shell/complete." + c.Shell)
	if err != nil {
		return err
	}
	if _, err := fmt.Print(strings.ReplaceAll(string(script), "PROGRAM", ctx.Model.Name)); err != nil {
		return fileError("standard output", err)
	}
	return nil
}

type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"" name:"WORD" help:"The words after the client's name, up to the one to complete."`
}

// Run prints the completions of the last word, one a line; a tab and a description may follow. The
// line ":files" means that file names are completions, too.
func (c *completeCommand) Run(ctx *kong.Context) error {
	words := c.Words
	if len(words) < 2 {
		return nil
	}
	words = words[1:] // the first is --, which keeps the others from being flags of this call
	last := len(words) - 1
	for _, choice := range choices(ctx.Model.Node, words[:last], words[last]) {
		if choice == anyFile || strings.HasPrefix(choice.word, words[last]) {
			fmt.Fprintln(os.Stdout, strings.TrimSuffix(choice.word+"\t"+choice.help, "\t"))
		}
	}
	return nil
}

// choice is a completion of a word.
type choice struct{ word, help string }

// anyFile means the names of files.
var anyFile = choice{word: ":files"}

// choices are the words that can follow words; begun is the beginning of the word.
func choices(node *kong.Node, words []string, begun string) []choice {
	var pending *kong.Flag // its value comes next
	args, onlyArgs := 0, false
	for _, word := range words {
		switch {
		case pending != nil:
			pending = nil
		case onlyArgs || !isFlag(word):
			if child := childOf(node, word); child != nil && !onlyArgs {
				node = child
			} else {
				node = cmp.Or(node.DefaultCmd, node)
				args++
			}
		case word == "--":
			onlyArgs = true
		default:
			pending = valueless(node, word)
		}
	}
	name, _, valued := strings.Cut(begun, "=")
	switch {
	case pending != nil:
		return values(pending.Value, "")
	case onlyArgs || !strings.HasPrefix(begun, "-"):
		return arguments(node, args, onlyArgs)
	case !valued:
		return flags(node)
	}
	if flag := valueless(node, name); flag != nil {
		return values(flag.Value, name+"=")
	}
	return nil
}

func isFlag(word string) bool { return len(word) > 1 && word[0] == '-' }

// valueless returns the flag of this name if it still needs a value.
func valueless(node *kong.Node, word string) *kong.Flag {
	for _, flag := range flagsOf(node) {
		if "--"+flag.Name == word && !flag.IsBool() {
			return flag
		}
	}
	return nil
}

func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// flagsOf are the flags of a command, or of the default command.
func flagsOf(node *kong.Node) []*kong.Flag {
	return slices.Concat(cmp.Or(node.DefaultCmd, node).AllFlags(true)...)
}

func flags(node *kong.Node) []choice {
	var list []choice
	for _, flag := range flagsOf(node) {
		list = append(list, choice{"--" + flag.Name, brief(flag.Help)})
	}
	return list
}

// arguments are the commands, if one is possible, and the values of the argument after before others.
func arguments(node *kong.Node, before int, onlyArgs bool) []choice {
	var list []choice
	for _, child := range node.Children {
		if !child.Hidden && !onlyArgs {
			list = append(list, choice{child.Name, brief(child.Help)})
		}
	}
	positional := cmp.Or(node.DefaultCmd, node).Positional
	for i, arg := range positional {
		if i == before || i == len(positional)-1 && arg.IsCumulative() {
			return append(list, values(arg, "")...)
		}
	}
	return list
}

// values are the possible values, each after a prefix.
func values(v *kong.Value, prefix string) []choice {
	var list []choice
	words := v.Tag.Get("complete")
	switch words {
	case "FILE":
		return []choice{anyFile}
	case "FLAGS":
		for _, n := range flagsNames() {
			list = append(list, choice{prefix + n.name, n.read})
		}
		return list
	}
	for _, word := range strings.Split(cmp.Or(v.Enum, words), ",") {
		if word != "" {
			list = append(list, choice{word: prefix + word})
		}
	}
	return list
}

// brief is the first clause of a help text.
func brief(help string) string {
	if end := strings.IndexAny(help, ".:;"); end > 0 {
		return help[:end]
	}
	return help
}
