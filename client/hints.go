package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// hintRejects prints which option is likely to be missing, if most rows of an input are rejected for one reason.
func (o *outcome) hintRejects(w io.Writer) {
	for _, f := range o.files {
		for reason, rows := range f.Reasons {
			if rows <= f.Rows/2 {
				continue
			}
			r := door.Reject{Reason: reason} // only the first rejects are listed
			if i := slices.IndexFunc(f.Rejects, func(r door.Reject) bool { return r.Reason == reason }); i >= 0 {
				r = f.Rejects[i]
			}
			if hint := rejectHint(&r, &f.rows); hint != "" {
				fmt.Fprintf(w, "hint: %s\n", hint)
				return
			}
		}
	}
}

const (
	hintFormat   = "--from says which format the rows have"
	hintColumns  = "--key and --value choose columns, and --value json takes the whole row"
	hintTemplate = "--key can be a template that makes a key of other columns, such as 'user:{id}'"
	hintQuotes   = "--from outfile reads fields with escapes, as SELECT … INTO OUTFILE writes them; --quote and --escape say other ones"
)

// rejectHints are hints by reasons, for rows that were read in any way.
var rejectHints = map[record.Reason]string{
	record.KeyTooLong:  "--hash-long-keys stores such rows under a hash of the key",
	record.NoCommand:   hintFormat,
	record.NoChecksum:  "load --from memcached reads commands that are not those of a dump",
	record.NoMember:    "--key and --value choose members, and --value json takes the whole row",
	record.ExtraMember: "--allow-extra leaves such members out",
	record.OpenObject:  "each object has to be closed; jq -c . says where JSON is malformed, and writes one object on each line",
	record.BareQuote:   hintQuotes,
	record.AfterQuote:  hintQuotes,
	record.OpenQuote:   hintQuotes,
	record.BadEscape:   "the rows of mysql --raw are --from tsv, those of COPY --from psql",
	record.LoneEscape:  "the rows of mysql --raw are --from tsv, those of COPY --from psql",
	record.NotUTF8:     "value_base64 holds any bytes; iconv makes UTF-8 of another encoding",
}

// rejectHint says which option is missing if rows are read as options say and are rejected like r; "": that is not known.
func rejectHint(r *door.Reject, options *door.Rows) string {
	reason := record.Reason(r.Reason)
	pair := options.Key == "" && options.Value == ""
	switch reason {
	case record.NoTab, record.BadJSON:
		if format := likelyFormat(r.Key); format != "" && format != options.Format {
			return fmt.Sprintf("the rows look like %s: --from %s reads them", format, format)
		}
		return hintFormat
	case record.NoColumn:
		if pair {
			return hintFormat + ", and with it what separates columns"
		}
		return ""
	case record.MoreColumn:
		if pair {
			return hintColumns
		}
		return ""
	case record.KeyByte:
		switch options.Format {
		case "", record.Raw, record.Memcached, record.Dump:
			return ""
		case record.JSONL:
			if options.Key == "" {
				return ""
			}
		}
		return hintTemplate
	case record.OpenQuote, record.LoneEscape:
		if options.Format == record.Outfile || options.Format == record.PSQL {
			return "" // it is what the hint would name
		}
	case record.NoMember:
		if strings.Contains(r.Detail, "jq -c") {
			return "" // it says what to do
		}
	}
	return rejectHints[reason]
}

// likelyFormat is the format that a row looks like, of which a quoted Go string has the beginning; "": not known.
func likelyFormat(quoted string) record.Format {
	text, err := strconv.Unquote(quoted)
	if err != nil {
		return ""
	}
	row := bytes.TrimSpace([]byte(text))
	switch { // JSON and commands are foreign files in another format
	case bytes.IndexByte(row, '\t') > 0:
		return record.TSV
	case bytes.IndexByte(row, ',') > 0:
		return record.CSV
	}
	return ""
}
