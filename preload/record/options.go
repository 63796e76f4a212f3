package record

import (
	"slices"
	"strings"

	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/option"
)

// Format is the format of the rows.
type Format string

// The formats have the names of the tools that write them.
const (
	Raw       Format = "raw"       // key, tab, value: raw bytes, and the value may have tabs
	MySQL     Format = "mysql"     // mysql --batch: columns separated by tabs, with the escapes \0 \t \n \\
	PSQL      Format = "psql"      // COPY … TO STDOUT, text: columns separated by tabs, with its escapes, and \N
	CSV       Format = "csv"       // RFC 4180
	TSV       Format = "tsv"       // columns separated by tabs: raw bytes
	Outfile   Format = "outfile"   // SELECT … INTO OUTFILE, mysqldump --tab: columns separated by tabs, with escapes, and \N
	JSONL     Format = "jsonl"     // JSON objects, on a line each, or in arrays
	Memcached Format = "memcached" // set, add, replace and ms commands
	Dump      Format = "dump"      // what a dump writes: ms commands with checksums, and mn at the end
)

// Formats are all of them.
var Formats = []Format{Raw, MySQL, PSQL, CSV, TSV, Outfile, JSONL, Memcached, Dump}

// Null says what becomes of SQL's NULL.
type Null string

// What becomes of a NULL.
const (
	NullSkip    Null = "skip"    // the row is skipped
	NullEmpty   Null = "empty"   // the value is empty
	NullLiteral Null = "literal" // the value is the text that the format has for NULL
)

// Nulls are all of them.
var Nulls = []Null{NullSkip, NullEmpty, NullLiteral}

// defaultNull loses nothing by accident. In mysql's output a NULL looks like the text NULL, and many writers of CSV
// write an empty text like a NULL.
var defaultNull = map[Format]Null{
	MySQL: NullLiteral, PSQL: NullSkip, CSV: NullEmpty, TSV: NullEmpty, Outfile: NullSkip, JSONL: NullSkip,
}

// Mode says which rows are stored: what becomes of a row whose key is in the cache, or is not.
type Mode string

// The modes have the names and the meaning of memcached's own commands.
const (
	ModeSet     Mode = "set"     // every row
	ModeAdd     Mode = "add"     // only new keys; the others are skipped
	ModeReplace Mode = "replace" // only keys that are in the cache; the others are skipped
)

// Modes are all of them.
var Modes = []Mode{ModeSet, ModeAdd, ModeReplace}

// Options say how rows are read, and what they are stored with. Their JSON is that of a request (package door).
type Options struct {
	Format Format `json:"from,omitempty"` // "": Raw
	Null   Null   `json:"null,omitempty"` // "": the format's default

	// Delimiter is what separates columns, Quote what they may be enclosed by, and Escape what is before a character
	// that is another one: an ASCII character, or "tab", or, for the last two, "none". "": the format's default
	// (dialects). For CSV, TSV and Outfile.
	Delimiter string `json:"delimiter,omitempty"`
	Quote     string `json:"quote,omitempty"`
	Escape    string `json:"escape,omitempty"`

	// Header says that the first row has the names of the columns.
	Header bool `json:"header,omitempty"`
	// Key and Value are a column each, by its name or its number from 1, or a template with columns in braces;
	// Value can be "json", the whole row as a JSON object. Default: the first and the second column; if both are
	// "", the row has no columns but these and those that are named below. The default of JSONL: the members key or
	// key_base64, and value or value_base64, and those of mocks (mock.go).
	Key   string `json:"key,omitempty"`
	Value string `json:"value,omitempty"`
	// TTLColumn has a time to live in seconds, or a duration; ExpiresColumn a date, in seconds since 1970 or as
	// databases write it; FlagsColumn client flags. "": there is none.
	TTLColumn     string `json:"ttl_column,omitempty"`
	ExpiresColumn string `json:"expires_column,omitempty"`
	FlagsColumn   string `json:"flags_column,omitempty"`
	// JSONColumns, with Value "json", are columns that hold JSON themselves: names or numbers, separated by commas. A
	// name that has a comma is given by its number.
	JSONColumns string `json:"json_columns,omitempty"`
	// Decode is the encoding of the value, which is one column then. In JSONL it is that of the member value, or of the
	// one that Value names.
	Decode Encoding `json:"decode,omitempty"` // "": none

	// AllowExtra takes rows of JSONL that have members that look like options, but are none (members.go). Other
	// members are data in any case if Key or Value is set.
	AllowExtra bool `json:"allow_extra,omitempty"`

	// TTL and Flags are for rows that say none themselves. TTL is in seconds from the moment a row is stored, 0
	// for ever, TTLMax at most. It is relative however large it is: memcached's own rule, that above 30 days it
	// is a date, does not apply.
	TTL   int64  `json:"ttl,omitempty"`
	Flags uint32 `json:"flags,omitempty"`
	// ValueType is what the value of a row with these Flags must be; "": any bytes.
	ValueType ValueType `json:"value_type,omitempty"`
	// TTLJitter is the percentage, such as 10%, by which each time to live is shortened at most, so that not all
	// items expire at once; "": none is. The item's key decides how much. Dates are as they are.
	TTLJitter string `json:"ttl_jitter,omitempty"`
	// KeyPrefix is put before each key. HashLongKeys, HashSHA256, replaces a key that is longer than 250 bytes with
	// the prefix: behind the prefix is its own hash in hexadecimal, without the prefix. "": such a row is rejected.
	KeyPrefix    string `json:"key_prefix,omitempty"`
	HashLongKeys string `json:"hash_long_keys,omitempty"`
	// Mode is for all rows; "": what each row says, or ModeSet.
	Mode Mode `json:"mode,omitempty"`

	// What follows is what the cache can store. A load sets it; no request says it.

	// ValueMax is the length of the longest value, in bytes.
	ValueMax int `json:"-"`
	// BinaryKeyMax is the length of the longest binary key, in bytes; 0: as long as any key.
	BinaryKeyMax int `json:"-"`
	// NoCAS says that an item cannot be given a CAS unique, NoStale that it cannot be stored as stale.
	NoCAS   bool `json:"-"`
	NoStale bool `json:"-"`

	command Command // of Mode
	jitter  Jitter  // of TTLJitter
}

// New makes a parser of a whole input: a foreign file fails at its beginning. The error is an *option.Error, as is that of
// a Failed row.
func New(o Options) (*Parser, error) {
	if o.Format == "" {
		o.Format = Raw
	}
	p, err := newParser(o)
	if err != nil {
		return nil, err
	}
	probe, err := newParser(o)
	p.look = &look{options: o, probe: probe}
	return p, err
}

// newParser makes a parser that takes foreign files for rows.
func newParser(o Options) (*Parser, error) {
	if !slices.Contains(Formats, o.Format) {
		return nil, option.Errorf("the formats are "+List(Formats, ", "), "there is no format %q", o.Format)
	}
	for _, check := range []func() error{o.check, o.checkJitter, o.checkKeys} {
		if err := check(); err != nil {
			return nil, err
		}
	}
	d, err := newDialect(&o)
	if err != nil {
		return nil, err
	}
	if o.Null == "" && (o.Decode == "" || o.Format != MySQL) { // there NULL is a text of base64, too
		o.Null = defaultNull[o.Format]
		if o.Format == Outfile && d.quote == 0 && d.escape == 0 {
			o.Null = NullLiteral // as in mysql's output, NULL looks like its text
		}
	}
	switch o.Mode {
	case ModeAdd:
		o.command = Add
	case ModeReplace:
		o.command = Replace
	}
	l, err := newLayout(&o)
	if err != nil {
		return nil, err
	}
	p := &Parser{
		options:   o,
		bom:       true,
		multiline: d.quote != 0 || d.escape != 0 || o.Format == CSV || o.Format == PSQL || o.Format == Memcached || o.Format == Dump,
	}
	switch o.Format {
	case Raw:
		p.format = newRaw(o)
	case MySQL:
		p.format = newTable(l, &tabs{delimiter: '\t', null: []byte("NULL"), escape: mysqlEscape})
	case PSQL:
		p.format = newTable(l, &copyText{tabs: tabs{null: []byte(`\N`), escape: psqlEscape}})
	case CSV, TSV, Outfile:
		p.format = newDialectTable(l, d)
	case JSONL:
		p.format = newObjects(l)
	case Memcached:
		p.format = &commands{options: o, keys: newKeys(&o)}
	case Dump:
		p.format = newDumped(o)
	}
	p.rowMax = rowMax(o)
	return p, nil
}

// keyRoom is how long all but the value may be in a row with columns, or the key if it can be hashed, in bytes.
const keyRoom = 64 << 10

// rowMax is the length of the longest row, in bytes, whose value is not Oversize.
func rowMax(o Options) int {
	const most = 1 << 30
	switch o.Format {
	case Raw:
		key := meta.KeyMax
		if o.HashLongKeys != "" {
			key = keyRoom
		}
		value := min(o.ValueMax, most)
		if o.Decode != "" { // a byte takes four at most: \001 in bytea
			value = min(4*value+len("0x"), most)
		}
		return value + key + 1
	case Memcached, Dump: // headMax has room also for the marks behind an item of a dump
		return min(o.ValueMax, most) + headMax
	}
	// A byte of a value takes six bytes at most: \u0000 in JSON. In an encoding it takes five: \\001 of bytea in COPY; no
	// tool escapes hexadecimal digits, nor more of base64 than the slash.
	return min(6*min(o.ValueMax, most)+keyRoom, most)
}

func (o *Options) check() error {
	if o.Null != "" && !slices.Contains(Nulls, o.Null) {
		return option.Errorf("NULL can be "+List(Nulls, " or "), "there is no %q for NULL", o.Null)
	}
	if o.Format == Raw || o.Format == Memcached || o.Format == Dump {
		for _, c := range []struct {
			name string
			set  bool
		}{
			{"null", o.Null != ""},
			{"header", o.Header},
			{"key", o.Key != ""},
			{"value", o.Value != ""},
			{"ttl-column", o.TTLColumn != ""},
			{"expires-column", o.ExpiresColumn != ""},
			{"flags-column", o.FlagsColumn != ""},
			{"json-columns", o.JSONColumns != ""},
		} {
			if c.set {
				return option.Errorf("the formats mysql, psql, csv, tsv, outfile and jsonl have columns: --from says which it is",
					"the format %s has no columns, so that --%s means nothing", o.Format, c.name)
			}
		}
	}
	if o.Format == JSONL && o.Header {
		return option.Errorf("", "the format jsonl has no header: its rows name their columns themselves")
	}
	switch {
	case o.Decode == "":
	case !slices.Contains(Encodings, o.Decode):
		return option.Errorf("the encodings are "+List(Encodings, " and "), "there is no encoding %q", o.Decode)
	case o.Format == Memcached || o.Format == Dump:
		return option.Errorf("", "the values of the format %s are bytes, so that --decode means nothing", o.Format)
	case o.Value == "json":
		return option.Errorf("--value names the column to decode", "a row as JSON is no text that --decode could decode")
	}
	switch {
	case o.JSONColumns == "":
	case o.Format == JSONL:
		return option.Errorf("", "the members of jsonl are JSON already, so that --json-columns means nothing")
	case o.Value != "json":
		return option.Errorf("--value json makes the whole row a JSON object", "--json-columns are columns of a row as JSON")
	}
	if o.ValueType != "" && !slices.Contains(ValueTypes, o.ValueType) {
		return option.Errorf("the types are "+List(ValueTypes, " and "), "there is no type of values %q", o.ValueType)
	}
	if o.Format != JSONL && o.AllowExtra {
		return option.Errorf("", "only the rows of jsonl have members: --allow-extra means nothing for the format %s", o.Format)
	}
	if o.TTLColumn != "" && o.ExpiresColumn != "" {
		return option.Errorf("", "a row cannot have both a time to live and a date: --ttl-column or --expires-column")
	}
	return nil
}

// List lists two names or more for a message; last is what separates the last one, such as " and ".
func List[T ~string](names []T, last string) string {
	var s strings.Builder
	for i, name := range names {
		switch i {
		case 0:
		case len(names) - 1:
			s.WriteString(last)
		default:
			s.WriteString(", ")
		}
		s.WriteString(string(name))
	}
	return s.String()
}
