package load

import (
	"math"

	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
	"memcached-backdoor/preload/walk"
)

// choose makes a Skip of a row that is not wanted. data begins with the row. A row of which too little is known, such as
// one that is damaged, stays what it is.
func (l *loader) choose(kind record.Kind, data []byte) record.Kind {
	if l.options.Wanted == nil {
		return kind
	}
	row := &l.row
	i := walk.Item{Key: row.Own(data), Size: row.Value.Len, TTL: row.TTL}
	switch {
	case kind == record.Item, kind == record.Reject && l.keyed(i.Key):
	case kind == record.Skip && row.Reason == record.Expired:
	default:
		return kind
	}
	if i.Size == 0 && (kind != record.Item || row.Oversize) { // the value has not been looked at
		i.Size = math.MaxInt
	}
	switch {
	case kind == record.Skip, row.TTL == record.Past:
		i.TTL = 0
	case row.TTL == 0:
		i.TTL = -1
	}
	if l.options.Wanted.Wants(&i) {
		return kind
	}
	row.Reason, row.Detail, row.Column = unstored.Unwanted, "", 0
	return record.Skip
}

// keyed reports whether a rejected row has a key: in a dump one is not made of what may be another part of the row.
func (l *loader) keyed(key []byte) bool {
	return len(key) > 0 && (l.row.Known || l.options.Record.Format == record.Dump)
}
