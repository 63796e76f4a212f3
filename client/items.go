package main

import (
	"io"
	"slices"
	"time"

	"memcached-backdoor/preload/record"
)

// item is one of a dump. Its bytes are good until the function that was given them returns.
type item struct {
	key, value []byte
	flags      uint32
	stale, won bool  // its marks
	expires    int64 // in seconds since 1970, to a second; 0: never. If it has expired, it is the present
}

// itemsEnd is what is known of a dump when it has been read.
type itemsEnd struct {
	items    uint64
	damaged  uint64 // parts of it that are no items as they were dumped
	complete bool   // its end is there
	err      error  // of reading
}

// itemMax is how large an item can be (memcached.c: item_size_max).
const itemMax = 1 << 30

// readItems calls each for every item of a dump in memcached's own commands, whose values have
// up to so many bytes: something that is longer is damaged.
func readItems(r io.Reader, valueMax int, each func(*item)) (end itemsEnd) {
	parser, err := record.New(record.Options{Format: record.Dump, ValueMax: valueMax})
	if err != nil {
		return itemsEnd{err: err}
	}
	var row record.Row
	cut := false // what is read belongs to a row that is longer than any item
	buffer := make([]byte, 0, pipeSize)
	for eof := false; ; {
		data := buffer
		for len(data) > 0 {
			if cut {
				n, done := parser.Skip(data, eof)
				data, cut = data[n:], !done
				continue
			}
			kind := parser.Next(data, eof, &row)
			if kind == record.More {
				break
			}
			end.take(kind, &row, data, each)
			data = data[row.Size:]
		}
		if eof {
			end.complete = !parser.Incomplete()
			return end
		}
		if len(data) > parser.RowMax() {
			parser.Cut(data, &row)
			end.damaged++
			data, cut = nil, true
		}
		buffer = buffer[:copy(buffer[:len(data)], data)]
		if len(buffer) == cap(buffer) {
			buffer = slices.Grow(buffer, len(buffer))
		}
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if err != nil && err != io.EOF {
			end.err = err
			return end
		}
		eof = err == io.EOF
	}
}

// take passes a row on, if it is an item.
func (end *itemsEnd) take(kind record.Kind, row *record.Row, data []byte, each func(*item)) {
	i := item{flags: row.Flags, stale: row.Stale, won: row.Won}
	switch {
	case kind == record.Nothing:
		return
	case kind == record.Item && row.Oversize:
		end.damaged++
		return
	case kind == record.Item && row.TTL == 0:
	case kind == record.Item, kind == record.Skip && row.Reason == record.Expired:
		i.expires = time.Now().Unix() + row.TTL // which the parser has just taken off
	default:
		end.damaged++
		return
	}
	end.items++
	i.key, i.value = row.Key.Of(data), row.Value.Of(data)
	each(&i)
}
