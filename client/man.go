package main

import (
	_ "embed"
	"os"
	"strings"
	"text/template"

	"github.com/alecthomas/kong"
)

// manPage is the template of the manual page, in the macros of man(7).
//
//go:embed man.tmpl
var manPage string

type manCommand struct{}

// Run prints the page.
func (c *manCommand) Run(ctx *kong.Context) error {
	page := template.Must(template.New("").Funcs(template.FuncMap{"roff": roff, "upper": strings.ToUpper}).Parse(manPage))
	if err := page.Execute(os.Stdout, manualOf(ctx.Model)); err != nil {
		return fileError("standard output", err)
	}
	return nil
}

// manual is the data of the template.
type manual struct {
	Name, Version, Date string
	Commands            []manualCommand
	Flags               []entry // of every command
	Statuses            []status
	Examples            []manualExamples
}

// manualExamples are those of a command, or of the client itself ("").
type manualExamples struct {
	Of       string
	Examples []example
}

type manualCommand struct {
	entry
	Usage     string
	Arguments []entry
	Groups    []flagGroup
}

// flagGroup is a group of flags, as in --help.
type flagGroup struct {
	Title string
	Flags []entry
}

// entry is a name with its help.
type entry struct{ Name, Help string }

func manualOf(app *kong.Application) manual {
	date, _, _ := strings.Cut(builtFrom().committed, "T")
	m := manual{Name: app.Name, Version: builtFrom().version, Date: date, Statuses: statuses}
	m.Examples = []manualExamples{{"", examplesOf("", app.Name)}}
	for _, flag := range app.Flags {
		m.Flags = append(m.Flags, entryOf(flag))
	}
	for _, node := range app.Children {
		if node.Hidden {
			continue
		}
		m.Examples = append(m.Examples, manualExamples{node.Name, examplesOf(node.Name, app.Name)})
		command := manualCommand{entry: entry{node.Name, node.Help}, Usage: usage(node)}
		for _, arg := range node.Positional {
			command.Arguments = append(command.Arguments, entry{arg.Name, arg.Help})
		}
		for _, flag := range node.Flags {
			title := ""
			if flag.Group != nil {
				title = strings.TrimSuffix(flag.Group.Title, ":")
			}
			last := len(command.Groups) - 1
			if last < 0 || command.Groups[last].Title != title {
				command.Groups = append(command.Groups, flagGroup{Title: title})
				last++
			}
			command.Groups[last].Flags = append(command.Groups[last].Flags, entryOf(flag))
		}
		m.Commands = append(m.Commands, command)
	}
	return m
}

func usage(node *kong.Node) string {
	words := []string{"[flags]"}
	for _, arg := range node.Positional {
		words = append(words, arg.Summary())
	}
	return strings.Join(words, " ")
}

// entryOf is a flag in the form in which it is used.
func entryOf(flag *kong.Flag) entry {
	name := "--" + flag.Name
	if !flag.IsBool() {
		name += "=" + flag.FormatPlaceHolder()
	}
	if flag.Short != 0 {
		name = "-" + string(flag.Short) + ", " + name
	}
	return entry{name, flag.Help}
}

// roff escapes a text, so that roff takes nothing in it for a request or an escape.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "^", `\(ha`, "~", `\(ti`, "`", `\(ga`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return text
}
