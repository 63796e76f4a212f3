package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"memcached-backdoor/preload/door"

	"github.com/alecthomas/kong"
)

// commandLine is the command line: the struct is its documentation, too.
type commandLine struct {
	Load   loadCommand   `cmd:"" default:"withargs" help:"Store the rows of standard input, or of files. The default."`
	Status statusCommand `cmd:"" help:"Say what memcached and the library in it are, and what has been loaded."`

	Check checkCommand `cmd:"" help:"Say, without starting it, what the library would do in a memcached."`

	Door    string           `placeholder:"PATH" help:"Where the door is. Without it: $$MEMCACHED_BACKDOOR, or /var/run/memcached_backdoor, or $$XDG_RUNTIME_DIR/memcached_backdoor."`
	JSON    bool             `name:"json" help:"Print the outcome as one JSON document."`
	Version kong.VersionFlag `help:"Print the version and exit."`
}

// doorPath is where the door is, as far as the user said.
func (line *commandLine) doorPath() string {
	if line.Door != "" {
		return line.Door
	}
	return door.Path()
}

type loadCommand struct {
	Files []string `arg:"" optional:"" name:"FILE" help:"Files to read, one after the other; - is standard input."`

	TTL    timeToLive `name:"ttl" placeholder:"TIME" help:"Time to live of each row from when it is stored: seconds, or a duration such as 10m, 24h or 30d. 0, the default, is for ever."`
	Flags  uint32     `placeholder:"NUMBER" help:"memcached's client flags for each row."`
	Mode   mode       `placeholder:"MODE" help:"set stores every row, add only new keys, replace only keys that are there. Without it rows are set, unless the format is memcached, whose rows say it themselves."`
	Rate   rowRate    `placeholder:"ROWS" help:"How many rows are stored in a second, at most."`
	Gentle bool       `help:"Take a tenth of the time of one of memcached's threads at most, for the sake of its other clients."`
	Detach bool       `help:"Let memcached finish even when the client ends before it."`

	From string `placeholder:"FORMAT" help:"How the rows are written: raw, a key, a tab and a value; mysql, of mysql --batch; psql, of COPY; csv; tsv, columns between tabs; jsonl, a JSON object on each line; memcached, set, add and ms commands. Without it the end of the file's name says it, or it is raw."`
	Null string `placeholder:"WHAT" help:"What a NULL becomes: skip leaves the row out (default of psql and jsonl), empty stores an empty value (of csv and tsv), literal what stands there (of mysql)."`

	Header        bool   `help:"The first row has the names of the columns."`
	Key           string `placeholder:"COLUMN" help:"The key: a column's name or number, or a template, such as 'user:{id}'. Without it the first column, or the member key."`
	Value         string `placeholder:"COLUMN" help:"The value: a column or a template, too; or json, the whole row as an object. Without it the second column, or the member value or value_base64."`
	TTLColumn     string `name:"ttl-column" placeholder:"COLUMN" help:"A column with the time to live in seconds, 0 for ever."`
	ExpiresColumn string `placeholder:"COLUMN" help:"A column with the date at which the item expires, in seconds since 1970, 0 for never."`
	FlagsColumn   string `placeholder:"COLUMN" help:"A column with memcached's client flags."`

	Rejects   string `placeholder:"FILE" help:"Write the rejected rows to FILE as they are, and to FILE.log the line, column, reason and key of each. They are there only if rows were rejected."`
	MaxErrors string `placeholder:"ROWS" help:"End the load when more rows than that are rejected: a number, or a part of those that were read, such as 5%."`
}

type statusCommand struct{}

type checkCommand struct {
	Binary string `arg:"" name:"BINARY" help:"The program file of memcached; without a slash it is looked for in PATH."`
}

// mode is what happens to keys that are there, or are not; "" is what the rows say.
type mode string

// UnmarshalText reads a mode.
func (m *mode) UnmarshalText(text []byte) error {
	switch *m = mode(text); door.Mode(*m) {
	case door.ModeSet, door.ModeAdd, door.ModeReplace:
		return nil
	}
	return fmt.Errorf("%q is no mode: set, add or replace", text)
}

// rowRate is a number of rows a second, from 1; 0 is no limit, which cannot be asked for.
type rowRate uint64

// UnmarshalText reads a number from 1.
func (r *rowRate) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err != nil || n == 0 {
		return fmt.Errorf("%q is not a number of rows a second: 1 or more", text)
	}
	*r = rowRate(n)
	return nil
}

// timeToLive is a number of seconds from now.
type timeToLive int64

// UnmarshalText reads a number of seconds, or a duration as package time has
// it, with days (d) in front.
func (t *timeToLive) UnmarshalText(text []byte) error {
	seconds, err := parseSeconds(string(text))
	switch {
	case err != nil:
		return err
	case seconds < 0:
		return errors.New("a time to live cannot be negative")
	case seconds > door.MaxTTL:
		return fmt.Errorf("a time to live of %d s is too long: at most %d s, which is 68 years", seconds, door.MaxTTL)
	}
	*t = timeToLive(seconds)
	return nil
}

func parseSeconds(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	} else if errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("%s s is too long", s)
	}
	var days int64
	rest := s
	if number, after, ok := strings.Cut(s, "d"); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt32 {
			return 0, fmt.Errorf("%q is not a number of days", number)
		}
		days, rest = n, after
	}
	var d time.Duration
	if rest != "" || s == "" {
		var err error
		if d, err = time.ParseDuration(rest); err != nil {
			return 0, fmt.Errorf("%q is neither a number of seconds nor a duration such as 10m, 24h or 30d", s)
		}
	}
	if d%time.Second != 0 {
		return 0, fmt.Errorf("%q is not a whole number of seconds", s)
	}
	return days*24*60*60 + int64(d/time.Second), nil
}
