package record

import (
	"slices"
	"strings"
	"testing"
)

// TestNotes: what is stored as it is, and looks like another format, is said with the format that reads it.
func TestNotes(t *testing.T) {
	t.Parallel()
	const mysql, copied = "--from mysql takes", "--from psql takes"
	until := Options{Format: TSV, Key: "1", Value: "2", ExpiresColumn: "3"}
	for name, test := range map[string]struct {
		options Options
		input   string
		says    []string // a part of each note
	}{
		"plain":                      {input: "k\tv\nl\tw\n"},
		"nothing":                    {},
		"mysql's escapes":            {input: "k\ta\\nb\nl\tw\n", says: []string{mysql}},
		"a backslash of mysql":       {input: "k\tc:\\\\dir\n", says: []string{mysql}},
		"a path is a path":           {input: "k\tc:\\new\nl\tc:\\windows\n"},
		"a backslash at the end":     {input: "k\ta\\nb\\\n"},
		"COPY's escapes":             {input: "k\ta\\r\\nb\nl\ta\\nb\n", says: []string{copied}},
		"COPY's NULL":                {input: "k\t\\N\nl\tw\n", says: []string{`1 of 2 values that were looked at are \N`}},
		"COPY's NULL and escapes":    {input: "k\t\\N\nl\ta\\nb\n", says: []string{`are \N`, copied}},
		"JSON's escapes":             {input: "k\t{\"a\":\"x\\ny\"}\nl\t[\"\\n\"]\n"},
		"line ends of Windows":       {input: "k\tv\r\nl\tw\r\n", says: []string{"carriage return"}},
		"one carriage return":        {input: "k\tv\r\nl\tw\n"},
		"byte order mark":            {input: mark + "k\tv\n", says: []string{"byte order mark"}},
		"behind the first rows":      {input: strings.Repeat("k\tv\n", escapesLooked) + "k\ta\\nb\n"},
		"rejected rows do not count": {input: "a b\tx\\ny\nk\tv\n"},
		"the mark of another format": {options: Options{Format: TSV}, input: mark + "k\tv\n", says: []string{"byte order mark"}},
		"a mark before a header":     {options: Options{Format: CSV, Header: true}, input: mark + "k,v\n1,2\n"},
		"tsv has no escapes, either": {options: Options{Format: TSV}, input: "k\ta\\nb\n", says: []string{mysql}},
		"tsv and Windows":            {options: Options{Format: TSV}, input: "k\tv\r\n", says: []string{"carriage return"}},
		"semicolons":                 {options: Options{Format: CSV}, input: "1001;a\n1002;b\n", says: []string{"separated by ';', as the first row shows"}},
		"commas or semicolons":       {options: Options{Format: CSV}, input: "1,5;Apfel\n2,a\n", says: []string{`as many with ';', which --delimiter ';' says: "1,5;Apfel"`}},
		"a delimiter that is said":   {options: Options{Format: CSV, Delimiter: ","}, input: "1,5;Apfel\n"},
		"only commas":                {options: Options{Format: CSV}, input: "1,5\n2,a;b\n"},
		"mysql and Windows":          {options: Options{Format: MySQL}, input: "k\ta\\nb\r\n", says: []string{"carriage return"}},
		"dates with a zone":          {options: until, input: "k\tv\t2037-12-01T00:00:00Z\nl\tw\t2143238400\n"},
		"dates without a zone":       {options: until, input: "k\tv\t2037-12-01\nl\tw\t2037-12-01 00:00\n", says: []string{"read as UTC"}},
		"milliseconds":               {options: until, input: "k\tv\t2143238400000\n", says: []string{"13 digits were read as milliseconds"}},
		"smaller units":              {options: until, input: "k\tv\t2143238400000000\nk\tv\t2143238400000000000\n", says: []string{"16 digits were read as microseconds", "19 digits were read as nanoseconds"}},
		"dates of jsonl":             {options: Options{Format: JSONL}, input: `{"key":"k","value":"v","expires":"2037-12-01"}`, says: []string{"read as UTC"}},
		"hashed keys":                {options: Options{HashLongKeys: HashSHA256}, input: strings.Repeat("k", 251) + "\tv\n" + strings.Repeat("k", 250) + "\tv\n", says: []string{"longer than 250 bytes and were hashed: 1"}},
		"psql has its own line ends": {options: Options{Format: PSQL}, input: "k\ta\\nb\r\n"},
	} {
		test.options.ValueMax = 1 << 20
		p, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		f := &feeder{t: t, parser: p, max: 1 << 20, input: []byte(test.input), piece: func() int { return len(test.input) }}
		f.feed()
		notes := p.Notes()
		if !slices.EqualFunc(notes, test.says, strings.Contains) {
			t.Errorf("%s: the notes are %q, want %q", name, notes, test.says)
		}
	}
}

// TestDetails: a reason is said with what it was in the row.
func TestDetails(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		options Options
		input   string
		text    string
	}{
		{Options{Format: TSV}, "k\n", "fewer columns than expected: 1 instead of 2"},
		{Options{Format: TSV}, "k\tv\tw\tx\n", "more columns than expected: 4 instead of 2"},
		{Options{Format: CSV, Key: "1", Value: "3"}, "k,v\n", "fewer columns than expected: 2 instead of 3"},
		{Options{Format: CSV, Header: true, Key: "a", Value: "b"}, "a,b,c\nk,v\n", "fewer columns than expected: 2 instead of 3"},
		{Options{}, "k\n", "no tab between key and value"},
		{Options{Decode: Hex}, "k\t6z6\n", `not hexadecimal: "z6" at byte 2 of 3`},
		{Options{Decode: Hex}, "k\t686\n", `not hexadecimal: "6" at byte 3 of 3`},
		{Options{Format: MySQL, Decode: Base64}, "k\tAA==\\nAA==\n", `not base64: "AA==" at byte 6 of 9`},
		{Options{Format: PSQL, Decode: Bytea}, "k\t\\\\x0\n", `not bytea as PostgreSQL writes it: "0" at byte 3 of 3`},
		{Options{Format: CSV, Header: true, Value: "json", JSONColumns: "on"}, "id,on\n1,t\n", `a column of --json-columns is not JSON: "on" is "t"`},
		{Options{Format: JSONL}, `{"key":"k","value":"v","ttl":"soon"}`, string(BadTTL) + `: "soon" in "ttl"`},
		{Options{Format: CSV, Key: "1", Value: "2", TTLColumn: "3"}, "k,v,\"30 days\"\n", string(BadTTL) + `: "30 days" in column 3`},
		{Options{Format: CSV, Header: true, Key: "a", Value: "b", ExpiresColumn: "c"}, "a,b,c\nk,v,9999-12-31\n", string(FarDate) + `: "9999-12-31" in "c"`},
		{Options{Format: JSONL}, `{"key":"k","value":"v","ttl":2147483648}`, string(BadTTL) + `: "2147483648" in "ttl"`},
		{Options{Format: JSONL}, `{"key":"k","value":"v","expires":"01/12/2037"}`, string(BadDate) + `: "01/12/2037" in "expires"`},
		{Options{Format: JSONL}, `{"key":"k","value":"v","expires":"0000-00-00 00:00:00"}`, string(BadDate) + `: "0000-00-00 00:00:00" in "expires" is the zero date of MySQL; NULL or 0 is never`},
	} {
		test.options.ValueMax = 1 << 20
		p, err := New(test.options)
		if err != nil {
			t.Fatal(err)
		}
		var row Row
		kind := p.Next([]byte(test.input), true, &row)
		for data := test.input; kind == Nothing; {
			data = data[row.Size:]
			kind = p.Next([]byte(data), true, &row)
		}
		if text := row.Reason.With(row.Detail); kind != Reject || text != test.text {
			t.Errorf("%+v: %q is %q, kind %d", test.options, test.input, text, kind)
		}
	}
}
