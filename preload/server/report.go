package server

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/load"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/slabs"
)

// report makes the counts of a reply.
func report(c *load.Counts, took time.Duration) *door.Load {
	l := &door.Load{
		Rows:     c.Rows,
		Stored:   c.Stored,
		Rejected: c.Rejected,
		Skipped:  c.Skipped,
		Bytes:    c.Bytes,
		Canceled: c.Canceled,
		Limited:  c.Limited,

		Incomplete: c.Incomplete,
		Notes:      c.Notes,
		Seconds:    took.Seconds(),
	}
	for reason, n := range c.Reasons {
		if l.Reasons == nil {
			l.Reasons = make(map[string]uint64)
		}
		l.Reasons[string(reason)] = n
	}
	for _, r := range c.Rejects {
		reject := door.Reject{Line: r.Line, Column: r.Column, Reason: string(r.Reason), Detail: r.Detail}
		if len(r.Key) > 0 {
			reject.Key = clip.Quote(r.Key)
		}
		l.Rejects = append(l.Rejects, reject)
	}
	return l
}

// firstOf makes the first rows of a reply.
func firstOf(rows []load.First) (first []door.First) {
	for _, r := range rows {
		f := door.First{
			Mode: r.Mode, Key: strconv.Quote(string(r.Key)), Flags: r.Flags, TTL: int64(r.TTL), CAS: r.CAS,
			Stale: r.Stale, Won: r.Won, Size: r.Size, Cut: len(r.Value) < r.Size,
		}
		if r.TTL == batch.Past {
			f.TTL = -1
		}
		head := string(r.Value)
		if f.Cut {
			head = wholeRunes(head)
		}
		f.Value = strconv.Quote(head)
		first = append(first, f)
	}
	return first
}

// wholeRunes is s without the beginning of a character at its end, of which the rest was cut off.
func wholeRunes(s string) string {
	for n := 1; n < utf8.UTFMax && n <= len(s); n++ {
		if tail := s[len(s)-n:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRuneInString(tail) {
				return s[:len(s)-n]
			}
			break
		}
	}
	return s
}

// failure makes a call's error of that of a load, with what the load had done.
func failure(err error, outcome *door.Load) *door.Error {
	e := &door.Error{Code: door.CodeInternal, Message: err.Error(), Load: outcome}
	switch wrong, ok := errors.AsType[*option.Error](err); {
	case ok:
		e.Code, e.Hint = door.CodeRequest, wrong.Hint
		if outcome.Rows == 0 {
			e.Load = nil // no row was read
		}
	case errors.Is(err, load.ErrRead):
		e.Code = door.CodeRead
	case errors.Is(err, load.ErrWrite):
		e.Code, e.Hint = door.CodeWrite, "make room there, or name a file elsewhere"
	}
	return e
}

// oneLine puts the reasons of a joined error on one line, for a field of a reply.
func oneLine(reasons string) string { return strings.ReplaceAll(reasons, "\n", "; ") }

// memoryOf makes the memory of a reply from what a trial has added, or from the error that there is instead.
func memoryOf(m *slabs.Memory, err error) *door.Memory {
	if err != nil {
		return &door.Memory{Unknown: oneLine(err.Error())}
	}
	d := &door.Memory{Fits: m.Fits(), Limit: m.Limit, Free: m.Free, Needed: m.Needed()}
	if !d.Fits {
		d.Megabytes = m.Megabytes()
	}
	for i := range m.Classes {
		if c := &m.Classes[i]; c.Items > 0 {
			d.Classes = append(d.Classes, door.SlabClass{ID: c.ID, ChunkSize: c.Size, Chunks: c.Items, Free: c.Free, Pages: c.Pages()})
		}
	}
	return d
}

// slabsOf makes the slab classes of a reply, or of the error that there is instead.
func slabsOf(u *slabs.Usage, err error) *door.Slabs {
	if err != nil {
		return &door.Slabs{Unknown: oneLine(err.Error())}
	}
	d := &door.Slabs{Limit: u.Limit, ChunkMax: u.ChunkMax}
	for _, c := range u.Classes {
		d.Classes = append(d.Classes, door.SlabUsage{ID: c.ID, ChunkSize: c.Size, Pages: c.Has, Used: c.Items, Free: c.Free})
	}
	return d
}

// goneOf makes the gone rows of a reply.
func goneOf(g *engine.Gone) *door.Gone {
	if g == nil {
		return nil
	}
	return &door.Gone{Rows: g.Rows, Exact: g.Exact, Megabytes: g.Megabytes, Unknown: oneLine(g.Unknown)}
}
