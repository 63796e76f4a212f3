package main

import (
	"bytes"
	"fmt"
	"io"
	"text/tabwriter"
)

// gone is the summary's part about rows that were stored and are no longer in the cache.
func (o *outcome) gone() string {
	var rows uint64
	exact := true
	reason := "the cache is too small for them"
	for _, f := range o.files {
		if g := f.Gone; g != nil {
			rows += g.Rows
			exact = exact && g.Exact
			if g.Unknown != "" {
				reason = g.Unknown
			}
		}
	}
	if rows == 0 {
		return ""
	}
	about := "about "
	if exact {
		about = ""
	}
	return fmt.Sprintf("; %s%d of the stored rows are gone again: %s", about, rows, reason)
}

// hintMemory prints the memory limit that memcached needs for the rows.
func (o *outcome) hintMemory(w io.Writer) {
	var megabytes uint64
	for _, f := range o.files {
		switch {
		case f.Gone != nil:
			megabytes = max(megabytes, f.Gone.Megabytes)
		case f.Memory != nil:
			megabytes = max(megabytes, f.Memory.Megabytes)
		}
	}
	switch {
	case megabytes == 0:
	case o.total.DryRun:
		fmt.Fprintf(w, "hint: memcached -m %d would hold them\n", megabytes)
	default:
		fmt.Fprintf(w, "hint: memcached -m %d would have held them\n", megabytes)
	}
}

// printMemory prints the memory that the rows of a dry run need, for each file.
func (o *outcome) printMemory(to io.Writer) error {
	var out bytes.Buffer
	for _, f := range o.files {
		m := f.Memory
		if m == nil {
			continue
		}
		of := ""
		if o.several {
			of = " for " + f.File
		}
		free, fits := size(m.Free)+" are free", "it fits"
		switch {
		case m.Unknown != "":
			fmt.Fprintf(&out, "memory%s: not known: %s\n", of, m.Unknown)
			continue
		case m.Limit == 0:
			free = "there is no limit"
		case !m.Fits:
			fits = "it does not fit, rows would be evicted"
		}
		fmt.Fprintf(&out, "memory%s: %s of pages more, %s: %s\n", of, size(m.Needed), free, fits)
		w := tabwriter.NewWriter(&out, 0, 0, 2, ' ', tabwriter.AlignRight)
		fmt.Fprint(w, "slab class\tchunk size\tchunks\tfree now\tpages more\t\n")
		for _, c := range m.Classes {
			fmt.Fprintf(w, "%d\t%d\t%d\t%d\t%d\t\n", c.ID, c.ChunkSize, c.Chunks, c.Free, c.Pages)
		}
		w.Flush()
	}
	_, err := to.Write(out.Bytes())
	return err
}
