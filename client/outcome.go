package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"

	"memcached-backdoor/preload/door"
)

// outcome accounts for all loads of one run.
type outcome struct {
	several bool // there are several sources: lines have the source's name
	expect  rowCount
	unit    string // what is counted: "row" or "item"
	made    bool   // memcached has made the items: the bytes that it has read are not theirs
	total   door.Load
	files   []fileLoad
}

// fileLoad is what became of one source.
type fileLoad struct {
	File string `json:"file"`
	door.Load
	rows door.Rows // how they were read
}

// document is what --json prints of a load. With several sources, rejected rows
// are in Files.
type document struct {
	door.Load
	Interrupted bool       `json:"interrupted"`
	Error       string     `json:"error,omitempty"`
	Files       []fileLoad `json:"files,omitempty"`
}

// add adds the counts of one source. The error is that of counts that do not add up.
func (o *outcome) add(name string, load *door.Load) error {
	o.files = append(o.files, fileLoad{File: name, Load: *load})
	o.total.Rows += load.Rows
	o.total.Stored += load.Stored
	o.total.Rejected += load.Rejected
	o.total.Skipped += load.Skipped
	o.total.Bytes += load.Bytes
	o.total.ValueBytes += load.ValueBytes
	o.total.Seconds += load.Seconds
	o.total.Resumed += load.Resumed
	o.total.Restarted = cmp.Or(o.total.Restarted, load.Restarted)
	o.total.Engine, o.total.EngineReason, o.total.DryRun = load.Engine, load.EngineReason, load.DryRun
	o.total.Canceled = o.total.Canceled || load.Canceled
	o.total.Limited = o.total.Limited || load.Limited
	o.total.Incomplete = o.total.Incomplete || load.Incomplete
	for reason, rows := range load.Reasons {
		if o.total.Reasons == nil {
			o.total.Reasons = map[string]uint64{}
		}
		o.total.Reasons[reason] += rows
	}
	return load.Check()
}

// blame adds the source's name to an error: always to one of reading; if there are
// several sources, also to one of the call. Other errors have a name, or are about
// all sources.
func (o *outcome) blame(name string, err error) error {
	e, answered := errors.AsType[*door.Error](err)
	if answered && e.Code == door.CodeRead || o.several && (answered || errors.Is(err, errLostLoad) || errors.Is(err, errCanceled) || errors.Is(err, errLimited) || errors.Is(err, errIncomplete) || errors.Is(err, errArrayCut)) {
		return fmt.Errorf("%s: %w", name, err)
	}
	return err
}

// finish prints the outcome of a run that ended with err, and returns the error
// that the client ends with.
func (o *outcome) finish(asJSON bool, err error) error {
	if len(o.files) == 0 && !errors.Is(err, errInterrupted) {
		return err // nothing was done
	}
	if err == nil {
		err = o.tooFew(o.expect)
	}
	if err == nil && o.total.Rejected > 0 {
		err = errRejected
	}
	var printed error
	if asJSON {
		printed = printJSON(o.document(err))
	} else {
		o.listRejects(os.Stderr)
		o.printNotes(os.Stderr)
		o.hintRejects(os.Stderr)
		printed = o.printFirst(os.Stdout, time.Now())
		_, summary := fmt.Println(o.summary(interrupted(err)))
		printed = cmp.Or(printed, summary, o.printMemory(os.Stdout))
		o.hintMemory(os.Stderr)
	}
	if printed != nil && (err == nil || errors.Is(err, errRejected)) {
		return fileError("standard output", printed)
	}
	return err
}

func (o *outcome) document(err error) document {
	d := document{Load: o.total, Interrupted: interrupted(err)}
	if err != nil && !errors.Is(err, errRejected) {
		d.Error = err.Error()
	}
	if o.several {
		d.Files = o.files
	} else if len(o.files) == 1 {
		d.Load = o.files[0].Load
	}
	return d
}

func interrupted(err error) bool {
	status, _, _ := explain(err)
	return status == exitInterrupted
}

// summary is the line that accounts for every row, or item.
func (o *outcome) summary(interrupted bool) string {
	t := &o.total
	stored := "stored"
	if t.DryRun {
		stored = "would be stored"
	}
	read, bytes := "read", size(t.Bytes)+" in "
	if o.made {
		read, bytes = "made", ""
	}
	if o.made && t.ValueBytes > 0 { // an older library does not say
		bytes = size(t.ValueBytes) + " of values in "
	}
	s := fmt.Sprintf("%s %s: %d %s, %d rejected, %d skipped (%s%.2f s", door.Count(t.Rows, o.unit), read, t.Stored, stored, t.Rejected, t.Skipped, bytes, t.Seconds)
	if t.Seconds > 0 {
		s += fmt.Sprintf(", %.0f %ss/s", float64(t.Rows)/t.Seconds, o.unit)
	}
	if t.Engine != "" {
		s += ", " + string(t.Engine)
	}
	s += ")"
	if t.Resumed > 0 {
		s += fmt.Sprintf(", after %d lines of an earlier load", t.Resumed)
	}
	if t.Restarted != "" {
		s += ", from the beginning: " + t.Restarted
	}
	if interrupted {
		s += ", interrupted"
	}
	s += o.gone()
	if t.EngineReason != "" {
		s += "; not native: " + t.EngineReason
	}
	return s
}

// listRejects prints the first rejected rows and, if there are more or rows were
// skipped, the number of rows by reason.
func (o *outcome) listRejects(w io.Writer) {
	var listed uint64
	for _, f := range o.files {
		place, column := "line ", ", byte "
		if o.several {
			place, column = f.File+":", ":"
		}
		for _, r := range f.Rejects {
			if listed == door.MaxRejects {
				break
			}
			listed++
			where := fmt.Sprint(place, r.Line)
			if r.Column > 1 {
				where += fmt.Sprint(column, r.Column)
			}
			fmt.Fprintf(w, "%s: %s\n", where, r.Text())
		}
	}
	if o.total.Rejected > listed {
		fmt.Fprintf(w, "... and %d more\n", o.total.Rejected-listed)
	}
	if o.total.Rejected <= listed && o.total.Skipped == 0 {
		return
	}
	listReasons(w, o.total.Reasons, o.unit)
}

// listReasons prints how many units, rows or items, have each reason, the most frequent first.
func listReasons(w io.Writer, reasons map[string]uint64, unit string) {
	for _, reason := range slices.SortedFunc(maps.Keys(reasons), func(a, b string) int {
		return cmp.Or(cmp.Compare(reasons[b], reasons[a]), cmp.Compare(a, b))
	}) {
		fmt.Fprintf(w, "%s: %s\n", door.Count(reasons[reason], unit), reason)
	}
}

// printNotes prints what there is to say of the inputs.
func (o *outcome) printNotes(w io.Writer) {
	for _, f := range o.files {
		for _, note := range f.Notes {
			if o.several {
				note = f.File + ": " + note
			}
			fmt.Fprintf(w, "note: %s\n", note)
		}
	}
}

func rows(n uint64) string { return door.Count(n, "row") }

// size is a number of bytes, in decimal units.
func size(bytes uint64) string {
	if bytes < 1000 {
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1000, 0
	for value >= 999.95 && unit < len("kMGTPE")-1 {
		value, unit = value/1000, unit+1
	}
	return fmt.Sprintf("%.1f %cB", value, "kMGTPE"[unit])
}

// printJSON prints a document on standard output.
func printJSON(v any) error { return printJSONTo(os.Stdout, v) }

func printJSONTo(out io.Writer, v any) error {
	enc := newEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// newEncoder makes an encoder whose output is for a terminal, too.
func newEncoder(out io.Writer) *json.Encoder {
	enc := json.NewEncoder(controlEscaper{out})
	enc.SetEscapeHTML(false)
	return enc
}

// controlEscaper writes JSON, and escapes the control characters from U+007F to U+009F, which package encoding/json leaves
// as they are (RFC 8259, section 7), and a terminal obeys.
type controlEscaper struct{ out io.Writer }

// Write writes one value of JSON, in which such a character can only be in a string.
func (e controlEscaper) Write(value []byte) (int, error) {
	escaped := make([]byte, 0, len(value))
	for at := 0; at < len(value); at++ {
		switch b := value[at]; {
		case b == 0x7f:
			escaped = append(escaped, `\u007f`...)
		case b == 0xc2 && at+1 < len(value) && value[at+1] < 0xa0: // U+0080 to U+009F in UTF-8
			at++
			escaped = fmt.Appendf(escaped, `\u%04x`, value[at])
		default:
			escaped = append(escaped, b)
		}
	}
	if _, err := e.out.Write(escaped); err != nil {
		return 0, err
	}
	return len(value), nil
}
