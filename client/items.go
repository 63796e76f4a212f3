package main

import (
	"io"
	"slices"
	"time"

	"memcached-backdoor/preload/record"
)

// item is an item of a dump. Its bytes are valid until the function that is called with it returns.
type item struct {
	key, value []byte
	flags      uint32
	stale, won bool  // its marks
	expires    int64 // in seconds since 1970; 0: never. Of an item that has expired: now
}

// itemsEnd is what is known of a dump after its last item.
type itemsEnd struct {
	items    uint64
	damaged  uint64 // parts of it that are damaged
	complete bool   // it is not truncated
	err      error  // of reading
}

// itemMax is the size of the largest item in bytes (memcached.c: item_size_max).
const itemMax = 1 << 30

// readItems calls each for every item of a dump in format ms. A value of more than valueMax bytes
// is damaged.
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
			if kind == record.Failed {
				end.err = row.Err
				return end
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

// take calls each for a row, if it is an item.
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
		i.expires = time.Now().Unix() + row.TTL // TTL counts from now
	default:
		end.damaged++
		return
	}
	end.items++
	i.key, i.value = row.Key.Of(data), row.Value.Of(data)
	each(&i)
}
