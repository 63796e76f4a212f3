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
	Mode   string     `enum:"set,add,replace" default:"set" placeholder:"MODE" help:"set stores every row (the default), add only new keys, replace only keys that are there."`
	Rate   rowRate    `placeholder:"ROWS" help:"How many rows are stored in a second, at most."`
	Gentle bool       `help:"Take a tenth of the time of one of memcached's threads at most, for the sake of its other clients."`
	Detach bool       `help:"Let memcached finish even when the client ends before it."`
}

type statusCommand struct{}

type checkCommand struct {
	Binary string `arg:"" name:"BINARY" help:"The program file of memcached; without a slash it is looked for in PATH."`
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
