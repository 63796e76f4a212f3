package main

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"memcached-backdoor/preload/door"
)

// printFirst prints the first rows that a dry run would store, for each file. now is when they would be.
func (o *outcome) printFirst(to io.Writer, now time.Time) error {
	var out bytes.Buffer
	for _, f := range o.files {
		if len(f.First) == 0 {
			continue
		}
		of := ""
		if o.several {
			of = " of " + f.File
		}
		fmt.Fprintf(&out, "first rows%s, as they would be stored:\n", of)
		for i := range f.First {
			fmt.Fprintf(&out, "  %s\n", firstLine(&f.First[i], now))
		}
	}
	_, err := to.Write(out.Bytes())
	return err
}

// firstLine is a row as it would be stored. The library has quoted what comes from the input.
func firstLine(r *door.First, now time.Time) string {
	expires := "never expires"
	switch {
	case r.TTL < 0:
		expires = "has expired already"
	case r.TTL > 0:
		expires = fmt.Sprintf("expires %s (in %s)", now.Add(time.Duration(r.TTL)*time.Second).Format("2006-01-02 15:04:05 MST"), span(r.TTL))
	}
	s := fmt.Sprintf("%s %s, flags %d, %s", r.Mode, r.Key, r.Flags, expires)
	if r.CAS != 0 {
		s += fmt.Sprintf(", CAS %d", r.CAS)
	}
	if r.Stale {
		s += ", stale"
	}
	if r.Won {
		s += ", won"
	}
	s += fmt.Sprintf(", %s: %s", size(uint64(r.Size)), r.Value)
	if r.Cut {
		s += "…"
	}
	return s
}
