package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"

	"github.com/alecthomas/kong"
)

// commandLine is the command line and, by its tags, its documentation. The tag complete tells the
// shells what a value can be: words, FILE, or FLAGS, the names of --flags-for.
type commandLine struct {
	Load    loadCommand    `cmd:"" default:"withargs" help:"Store the rows of standard input, or of files. The default."`
	Fill    fillCommand    `cmd:"" help:"Fill the cache with synthetic items."`
	Dump    dumpCommand    `cmd:"" help:"Write all items of the cache to a file, or to standard output."`
	Restore restoreCommand `cmd:"" help:"Store the items of dumps, from files or standard input."`
	Keys    keysCommand    `cmd:"" help:"Show what the cache is full of: items and bytes by prefixes of the keys."`
	Top     topCommand     `cmd:"" help:"List the largest items, or those that live longest, or that have not been used for longest."`
	Hot     hotCommand     `cmd:"" help:"List the keys that have the most requests, bytes or misses right now."`
	TTL     ttlCommand     `cmd:"" name:"ttl" help:"Show when the items of the cache expire, as bars."`
	Report  reportCommand  `cmd:"" help:"Write a page with pictures of the cache: memory by prefixes, times to live, slab classes, idle times, the largest items."`
	Diff    diffCommand    `cmd:"" help:"Compare a dump with the cache: a line for each key that is only in the dump (-), only in the cache (+), or has another value, flags or time to live (~)."`
	Get     getCommand     `cmd:"" help:"Print the value of a key, or what memcached knows of it; of several keys, a JSON object per line."`
	Set     setCommand     `cmd:"" help:"Store standard input as the value of a key, byte for byte."`
	Copy    copyCommand    `cmd:"" help:"Copy the items of the cache into another memcached, live: through its door, or to its address; and compare both at the end."`
	Delete  deleteCommand  `cmd:"" help:"Delete items of the cache, or mark them as stale: by a prefix or a pattern of their keys, their size, or their times."`
	Touch   touchCommand   `cmd:"" help:"Give items of the cache another time to live."`
	Status  statusCommand  `cmd:"" help:"Show how full memcached is and how it is used, what it and the library in it are, and what has been loaded."`
	Wait    waitCommand    `cmd:"" help:"Wait until the door answers and the fixtures are loaded (MEMCACHED_BACKDOOR_PRELOAD), for scripts and health checks."`
	Check   checkCommand   `cmd:"" help:"Show what the library would do in a memcached, without starting it."`

	Completion completionCommand `cmd:"" help:"Print a script that lets a shell complete the command line."`
	Man        manCommand        `cmd:"" help:"Print the manual page."`
	Help       helpCommand       `cmd:"" hidden:"" help:"Show the help of a command, as --help does."`
	Version    versionCommand    `cmd:"" hidden:"" help:"Print the version and what it was built from, as --version does."`
	Complete   completeCommand   `cmd:"" hidden:"" name:"__complete" help:"Print what a word can become."`

	Door  string           `placeholder:"PATH" complete:"FILE" help:"Where the door is. Default: $$MEMCACHED_BACKDOOR, /var/run/memcached_backdoor or $$XDG_RUNTIME_DIR/memcached_backdoor."`
	JSON  bool             `name:"json" help:"Print the outcome as one JSON document."`
	Built kong.VersionFlag `name:"version" help:"Print the version and what it was built from, and exit."`
}

// doorPath is the path of the door: --door, or the default.
func (line *commandLine) doorPath() string {
	if line.Door != "" {
		return line.Door
	}
	return door.Path()
}

type loadCommand struct {
	Files []string `arg:"" optional:"" name:"FILE" complete:"FILE" help:"Files to read, one after the other, also compressed ones (gzip, zstd, xz, bzip2); - is standard input."`

	From   string `group:"Input:" placeholder:"FORMAT" complete:"raw,mysql,psql,csv,tsv,outfile,jsonl,memcached,dump" help:"Format of the rows: raw, a key, a tab and a value; mysql, of mysql --batch; psql, of COPY; csv; tsv, columns separated by tabs; outfile, of SELECT INTO OUTFILE and mysqldump --tab; jsonl, JSON objects, one per line or in arrays; memcached, set, add and ms commands; dump, what dump writes. Default: by the file extension, else raw."`
	Header bool   `group:"Input:" help:"The first row has the names of the columns."`
	Null   string `group:"Input:" placeholder:"WHAT" complete:"skip,empty,literal" help:"What becomes of a NULL: skip leaves the row out (default of psql, outfile and jsonl), empty stores an empty value (of csv and tsv), literal stores its text in the input (of mysql)."`

	Delimiter character `group:"Input:" placeholder:"CHAR" help:"What separates the columns of csv, tsv or outfile: an ASCII character, or tab. Default: a comma in csv, else a tab."`
	Quote     character `group:"Input:" placeholder:"CHAR" help:"What columns of csv, tsv or outfile may be enclosed by: an ASCII character, or none. Default: a double quote in csv, else none."`
	Escape    character `group:"Input:" placeholder:"CHAR" help:"What escapes characters in csv, tsv or outfile, by the rules of LOAD DATA: an ASCII character, or none. Default: a backslash in outfile, else none."`

	Resume bool `group:"Input:" help:"Continue an interrupted load of the same file with the same options; from the beginning if there was none, if the file has changed, or if the stored rows are no longer in the cache."`
	expecting

	Key           string `group:"Columns:" placeholder:"COLUMN" help:"The key: a column's name or number, or a template such as 'user:{id}'. Default: the first column, or the member key or key_base64."`
	Value         string `group:"Columns:" placeholder:"COLUMN" help:"The value: a column, a template, or json, the whole row as an object. Default: the second column, or the member value or value_base64."`
	Decode        string `group:"Columns:" placeholder:"ENCODING" complete:"hex,base64,bytea" help:"The value is text in this encoding, and its bytes are stored: hex, base64, or bytea, of PostgreSQL."`
	TTLColumn     string `group:"Columns:" name:"ttl-column" placeholder:"COLUMN" help:"Column of the time to live: seconds, or a duration such as 1500ms, 24h or 30d; 0 means for ever."`
	ExpiresColumn string `group:"Columns:" placeholder:"COLUMN" help:"Column of the date at which the item expires: seconds or milliseconds since 1970, or 2037-12-01 00:00:00, in UTC unless a zone such as +02:00 follows; 0 means never."`
	FlagsColumn   string `group:"Columns:" placeholder:"COLUMN" help:"Column of memcached's client flags."`
	JSONColumns   string `group:"Columns:" name:"json-columns" placeholder:"COLUMNS" help:"With --value json: columns that hold JSON (numbers, true, false, objects, arrays), which stays what it is; the others become strings. Names or numbers, separated by commas."`
	AllowExtra    bool   `group:"Columns:" help:"Take rows of jsonl that have members such as exptime or TTL, which look like options, but are none: they are left out."`

	marking
	FlagsFor flagsFor `group:"Rows:" placeholder:"NAME" xor:"flags" complete:"FLAGS" help:"Or the flags by which an application's client library knows the value's type: php-json, pylibmc-int, dalli-string and others; a wrong name lists all of them."`
	naming
	storing
	rejection
}

// naming is how rows get the keys under which they are stored.
type naming struct {
	KeyPrefix    string `group:"Rows:" placeholder:"TEXT" help:"Put TEXT before each key."`
	HashLongKeys string `group:"Rows:" placeholder:"HASH" complete:"sha256" help:"Store a key of more than 250 bytes, with the prefix, as the prefix and the key's hash in hexadecimal: sha256. Default: the row is rejected."`
}

// marking is the options of rows that have none themselves.
type marking struct {
	TTL   timeToLive `group:"Rows:" name:"ttl" placeholder:"TIME" help:"Time to live of each row, from the moment it is stored: seconds, or a duration such as 10m, 24h or 30d. Default: 0, for ever."`
	Flags uint32     `group:"Rows:" placeholder:"NUMBER" xor:"flags" help:"memcached's client flags of each row."`

	TTLJitter string `group:"Rows:" name:"ttl-jitter" placeholder:"PERCENT" help:"Shorten each time to live by up to this percentage, such as 10%, so that the items do not all expire at once. The key decides by how much; dates are kept."`
}

// storing is how rows are stored, whatever their source.
type storing struct {
	Mode mode `group:"Rows:" placeholder:"MODE" complete:"set,add,replace" help:"Which rows are stored: set, every one; add, new keys only; replace, existing keys only. Default: set, or what the rows of the format memcached say."`

	Rate   rate `group:"Pace:" placeholder:"ROWS" help:"The most rows to store per second."`
	Gentle bool `group:"Pace:" help:"Take at most a tenth of the time of one of memcached's threads."`
	Detach bool `group:"Pace:" help:"Let memcached finish even if the client ends first."`

	DryRun bool `group:"Output:" help:"Do everything but store: show the first rows as they would be stored, and what memory all would need."`
	watching
}

// watching is how the progress of a call is shown.
type watching struct {
	Progress string `group:"Output:" enum:"auto,none,json" default:"auto" placeholder:"HOW" help:"Progress on standard error: auto, a line if it is a terminal; none; json, an event per line."`
}

// rejection is what becomes of rejected rows.
type rejection struct {
	Rejects   string `group:"Output:" placeholder:"FILE" complete:"FILE" help:"Write the rejected rows to FILE as they are, and line, column, reason and key of each to FILE.log. An empty file is removed."`
	MaxErrors string `group:"Output:" placeholder:"ROWS" help:"End the load when more rows are rejected than this: a number, or a percentage of the rows read, such as 5%."`
}

type fillCommand struct {
	Count itemCount `group:"Items:" placeholder:"NUMBER" xor:"amount" help:"The number of items."`
	Bytes byteCount `group:"Items:" placeholder:"SIZE" xor:"amount" help:"Or the size of all values together, about: a number of bytes, or one with k, M or G for thousands, millions or billions."`
	Key   itemKey   `group:"Items:" placeholder:"KEY" default:"fill:{n}" help:"The keys; {n} is the item's number, from 1. Default: fill:{n}."`
	Size  sizeRange `group:"Items:" placeholder:"SIZE" default:"100" help:"The size of a value in bytes, or a range such as 100-2k, from which the size of each item is drawn. Default: 100."`
	Seed  uint64    `group:"Items:" placeholder:"NUMBER" default:"1" help:"The seed of the values: the same seed makes the same values. Default: 1."`

	marking
	storing
}

// waiting is how long the client waits for an answer.
type waiting struct {
	Timeout timeLimit `group:"Waiting:" placeholder:"TIME" help:"How long to wait for the answer: seconds, or a duration such as 500ms or 2m. Default: for ever."`
}

type statusCommand struct {
	Watch pause `group:"Output:" placeholder:"TIME" help:"Show it again and again, that much later, with what has happened since: seconds, or a duration such as 500ms; at least 100ms. On a terminal it is redrawn; with --json each is a document on a line."`
	waiting
}

type checkCommand struct {
	Binary string `arg:"" name:"BINARY" complete:"FILE" help:"The program file of memcached; a name without a slash is looked up in PATH."`
}

// mode is a mode of storing; "": that of the row.
type mode string

// UnmarshalText reads a mode.
func (m *mode) UnmarshalText(text []byte) error {
	if *m = mode(text); slices.Contains(record.Modes, record.Mode(*m)) {
		return nil
	}
	return fmt.Errorf("%q is no mode: set, add or replace", text)
}

// character is a character of how rows are written; "": the format's default.
type character string

// UnmarshalText reads a character. An empty text means none, as it does in MySQL's ENCLOSED BY and ESCAPED BY.
func (c *character) UnmarshalText(text []byte) error {
	*c = character(cmp.Or(string(text), "none"))
	return nil
}

// rate is a number of rows or items a second, from 1; 0: no --rate.
type rate uint64

// UnmarshalText reads a number from 1.
func (r *rate) UnmarshalText(text []byte) error {
	n, err := parseCount(text)
	if err != nil {
		return fmt.Errorf("%q is not a number of rows or items a second: 1 or more", text)
	}
	*r = rate(n)
	return nil
}

// parseCount reads a number from 1.
func parseCount(text []byte) (uint64, error) {
	n, err := strconv.ParseUint(string(text), 10, 63)
	if err == nil && n == 0 {
		err = strconv.ErrRange
	}
	return n, err
}

// timeToLive is in seconds from now.
type timeToLive int64

// UnmarshalText reads a number of seconds, or a duration, which is rounded up to seconds.
func (t *timeToLive) UnmarshalText(text []byte) error {
	d, ok := record.ParseDuration(string(text))
	switch seconds := record.Seconds(d); {
	case !ok:
		return fmt.Errorf("%q is neither a number of seconds nor a duration such as 10m, 24h or 30d", text)
	case seconds < 0:
		return errors.New("a time to live cannot be negative")
	case seconds > record.TTLMax:
		return fmt.Errorf("a time to live of %s is too long: at most %d s, which is 68 years", clip.Quote(text), record.TTLMax)
	default:
		*t = timeToLive(seconds)
	}
	return nil
}
