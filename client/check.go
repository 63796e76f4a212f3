package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/host"
)

// checked is what is known of a program, as --json prints it.
type checked struct {
	File        string            `json:"file"`                // absolute, without symbolic links
	Memcached   string            `json:"memcached,omitempty"` // version of memcached
	BuildID     string            `json:"build_id,omitempty"`  // in hexadecimal
	Machine     string            `json:"machine,omitempty"`   // as uname -m says it
	Route       host.Route        `json:"route,omitempty"`     // how memcached's functions were found
	Functions   map[string]string `json:"functions,omitempty"` // their addresses in the file, in hexadecimal
	ABI         *host.ABI         `json:"abi,omitempty"`
	Engine      door.Engine       `json:"engine"`
	Reason      string            `json:"reason,omitempty"` // if Engine is not native
	Hint        string            `json:"hint,omitempty"`
	Dumps       door.Engine       `json:"dumps"`                  // how items would be read
	DumpsReason string            `json:"dumps_reason,omitempty"` // if Dumps is not native
	Notes       []string          `json:"notes,omitempty"`        // what else the engine depends on
	Seen        []string          `json:"seen,omitempty"`         // what was found instead of the functions
}

// Run examines the program file and prints what it is.
func (c *checkCommand) Run(line *commandLine) error {
	path, err := c.locate()
	if err != nil {
		return err
	}
	file, err := host.OpenRegular(path)
	if err != nil {
		return hintError{fileError(c.Binary, err), whatBinaryIs}
	}
	defer file.Close()
	facts, err := examine(file, path)
	refused, ok := errors.AsType[*host.Unsupported](err)
	if err != nil && !ok {
		return fileError(c.Binary, err)
	}
	result := assess(facts, refused)
	result.dumps(facts)
	result.File = path
	result.Notes = append(result.Notes, rights(file)...)
	if line.JSON {
		err = printJSON(result)
	} else {
		err = result.print(facts)
	}
	if err != nil {
		return fileError("standard output", err)
	}
	switch result.Engine {
	case door.EngineNative:
		return nil
	case door.EngineProtocol:
		return errProtocolOnly
	}
	return fmt.Errorf("%s: %w", c.Binary, &host.Unsupported{Reason: result.Reason, Hint: result.Hint})
}

const whatBinaryIs = "BINARY is memcached's own program file, such as /usr/bin/memcached"

// locate returns the path of the file that a shell would run, as the kernel knows it.
func (c *checkCommand) locate() (string, error) {
	path := c.Binary
	if !strings.Contains(path, "/") {
		found, err := exec.LookPath(path)
		if err != nil && !errors.Is(err, exec.ErrDot) {
			hint := whatBinaryIs
			if _, err := os.Stat(path); err == nil && path != "" {
				hint = fmt.Sprintf("the file in this directory is ./%s", path)
			}
			return "", hintError{fmt.Errorf("%s: not found in PATH", path), hint}
		}
		path = found
	}
	path, err := filepath.Abs(path)
	if err == nil {
		path, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return "", hintError{fileError(c.Binary, err), whatBinaryIs}
	}
	return path, nil
}

// examine finds the facts of a program file; its error says what a file that is not ELF is.
func examine(file *os.File, path string) (*host.Facts, error) {
	facts, err := host.Find(file, host.DebugFilesOf(path))
	if facts != nil || err == nil {
		return facts, err
	}
	head := make([]byte, 128)
	n, readErr := file.ReadAt(head, 0)
	if readErr != nil && readErr != io.EOF {
		return nil, readErr
	}
	line, _, _ := bytes.Cut(head[:n], []byte("\n"))
	switch refused, ok := errors.AsType[*host.Unsupported](err); {
	case n == 0:
		return nil, &host.Unsupported{Reason: "the file is empty", Hint: whatBinaryIs}
	case bytes.HasPrefix(line, []byte("#!")):
		return nil, &host.Unsupported{
			Reason: "this is a script: " + clip.Quote(line),
			Hint:   "check the program that it starts, such as /usr/bin/memcached",
		}
	case ok && refused.Hint == "":
		return nil, &host.Unsupported{Reason: refused.Reason, Hint: whatBinaryIs, Seen: refused.Seen}
	}
	return nil, err
}

const noGrowth = "a load waits for the hash table to grow once a second; " +
	"start memcached with -o hashpower=N, 2^N being the number of items, for large ones"

// assess returns the engine that would serve a program. facts is nil if there are none, refused is
// nil if the native engine is possible.
func assess(facts *host.Facts, refused *host.Unsupported) *checked {
	c := &checked{Engine: door.EngineNone}
	if facts != nil {
		c.BuildID = facts.BuildID
		c.Machine = strings.ToLower(strings.TrimPrefix(facts.Machine.String(), "EM_"))
		c.Route = facts.Route
		if (facts.Version != host.Version{}) {
			c.Memcached = facts.Version.String()
		}
		if refused == nil {
			abi := facts.Version.ABI()
			c.ABI = &abi
			c.Functions = map[string]string{}
			if facts.Table.AssocStartExpand == 0 {
				c.Notes = append(c.Notes, noGrowth)
			}
			for name, at := range facts.Functions.ByName(facts.Version) {
				c.Functions[name] = fmt.Sprintf("%#x", at)
			}
		}
		c.Notes = append(c.Notes, seccomp(facts)...)
		if u := facts.Preloadable(); u != nil {
			refused = u
		} else if refused == nil && !facts.Needs("libevent") {
			refused = &host.Unsupported{
				Reason: "libevent is linked statically, so that memcached's workers cannot be reached",
				Hint:   "take a memcached that is linked with the shared libevent, as distributions' are",
			}
		}
	}
	if refused == nil {
		c.Engine = door.EngineNative
		return c
	}
	c.Reason, c.Hint, c.Seen = refused.Reason, refused.Hint, refused.Seen
	if facts == nil || facts.Preloadable() != nil {
		return c
	}
	if reason := facts.NoMeta(); reason != "" {
		c.Reason += "; nor by protocol: " + reason
		return c
	}
	c.Engine = door.EngineProtocol
	return c
}

// dumps sets how items would be read, after assess.
func (c *checked) dumps(facts *host.Facts) {
	c.Dumps, c.DumpsReason = c.Engine, c.Reason
	if c.Engine != door.EngineNative {
		return
	}
	if c.DumpsReason = facts.NoWalk(); c.DumpsReason == "" {
		return
	}
	c.Dumps = door.EngineProtocol
	if reason := facts.NoMeta(); reason != "" {
		c.Dumps = door.EngineNone
		c.DumpsReason += "; nor by protocol: " + reason
	}
}

// seccomp notes when filters forbid the native engine (linux_priv.c). Up to 1.5.8 they are the default.
func seccomp(facts *host.Facts) []string {
	optIn := host.Version{Major: 1, Minor: 5, Patch: 9}
	switch {
	case !facts.Needs("libseccomp"):
		return nil
	case facts.Version.AtLeast(optIn):
		return []string{"seccomp filters are built in: started with -o drop_privileges, its engine is protocol"}
	}
	return []string{"seccomp filters are built in: started without -o no_drop_privileges, its engine is protocol"}
}

// rights notes what makes the dynamic linker ignore LD_PRELOAD (ld.so(8): secure-execution mode).
func rights(file *os.File) []string {
	var notes []string
	info, err := file.Stat()
	if err == nil && info.Mode()&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		notes = append(notes, "the file is set-uid or set-gid: LD_PRELOAD has no effect for other users than its owner")
	}
	if n, err := unix.Fgetxattr(int(file.Fd()), "security.capability", nil); err == nil && n > 0 {
		notes = append(notes, "the file has capabilities: LD_PRELOAD has no effect for other users than root")
	}
	return notes
}

// print prints one fact a line.
func (c *checked) print(facts *host.Facts) error {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	row("file", c.File)
	row("memcached", c.Memcached)
	row("build id", c.BuildID)
	row("machine", c.Machine)
	row("route", string(c.Route))
	if c.ABI != nil {
		for name, at := range facts.Functions.ByName(facts.Version) {
			row(name, fmt.Sprintf("%#x", at))
		}
		row("abi", c.ABI.String())
	}
	row("engine", string(c.Engine))
	row("reason", c.Reason)
	if c.Engine == door.EngineProtocol {
		row("hint", c.Hint) // without an engine it is below the error
	}
	row("dumps", dumpsLine(c.Dumps, c.DumpsReason))
	for _, note := range c.Notes {
		row("note", note)
	}
	for _, seen := range c.Seen {
		row("seen", seen)
	}
	return w.Flush()
}
