package record

import "bytes"

// raw is the format raw: on each line a key, a tab and a value.
type raw struct {
	lines
	escapes
	options Options
	keys    keys
}

func newRaw(o Options) format {
	r := raw{options: o, keys: newKeys(&o)}
	if o.Decode == "" {
		return &r
	}
	r.ignore()
	return &encodedRaw{raw: r}
}

// NoTab is the reason to reject a line of the format raw.
const NoTab Reason = "no tab between key and value"

func (r *raw) parse(line []byte, row *Row) Kind {
	tab := bytes.IndexByte(line, '\t')
	if tab < 0 {
		row.Key = Bytes{Len: len(line)}
		return row.reject(NoTab, 0)
	}
	row.Key = Bytes{Len: tab}
	reason, at := badKey(line[:tab])
	if !r.keys.own { // what check asks, too: as a call it would take a tenth of the row's time
		reason, at = r.keys.replace(row, line[:tab])
	}
	if reason != "" {
		return row.reject(reason, at)
	}
	row.Value = Bytes{At: tab + 1, Len: len(line) - tab - 1}
	row.Oversize = row.Value.Len > r.options.ValueMax
	row.Command, row.Flags, row.TTL = r.options.command, r.options.Flags, r.options.TTL
	if r.options.jitter > 0 {
		r.options.shorten(row, line)
	}
	r.count(line[tab+1:])
	return Item
}

func (r *raw) cut(line []byte, row *Row) Kind { return r.parse(line, row) }

// encodedRaw is the format raw with values that are to be decoded. A row that is cut has its value as it is.
type encodedRaw struct {
	raw
	value []byte
}

func (r *encodedRaw) parse(line []byte, row *Row) Kind {
	kind := r.raw.parse(line, row)
	if kind == Item {
		r.value, kind = row.decodeValue(&r.options, r.value[:0], row.Value.Of(line), row.Value.At, true)
		row.Known = kind == Reject
	}
	return kind
}
