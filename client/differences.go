package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// differences are listed as they are found: as lines, or as the elements of an array in one JSON
// document. However many there are, none is kept.
type differences struct {
	out   *bufio.Writer
	json  bool
	begun bool // there is one already
}

func newDifferences(out io.Writer, asJSON bool) *differences {
	return &differences{out: bufio.NewWriter(out), json: asJSON}
}

// signs are the words for the signs of lines.
var signs = map[byte]string{'-': "missing", '+': "added", '~': "changed"}

// differenceJSON is an element.
type differenceJSON struct {
	Is      string   `json:"is"` // "missing", "added" or "changed"
	Key     *string  `json:"key,omitempty"`
	Base64  []byte   `json:"key_base64,omitempty"`
	Differs []string `json:"differs,omitempty"` // "value", "flags", "ttl", "stale", "won"
}

// add lists an item that differs in what, which are words with commas between. That its writing
// fails is seen in the end.
func (d *differences) add(sign byte, key []byte, what string) {
	if !d.json {
		fmt.Fprintf(d.out, "%c %s", sign, shownKey(key))
		if what != "" {
			fmt.Fprintf(d.out, " %s", what)
		}
		d.out.WriteByte('\n')
		return
	}
	element := differenceJSON{Is: signs[sign]}
	element.Key, element.Base64 = jsonText(key)
	if what != "" {
		element.Differs = strings.Split(what, ",")
	}
	text, err := json.Marshal(element)
	if err != nil {
		panic(err) // there is nothing in it but texts
	}
	if d.begun {
		d.out.WriteString(",\n    ")
	} else {
		d.out.WriteString("{\n  \"differences\": [\n    ")
	}
	d.begun = true
	d.out.Write(text)
}

// diffDocument is what stands behind the array.
type diffDocument struct {
	*diffCounts
	Error string `json:"error,omitempty"`
}

// end ends the list with the counts, if all of the comparison was done, and its error.
func (d *differences) end(counts *diffCounts, done bool, err error) error {
	switch {
	case !d.json && done:
		fmt.Fprintln(d.out, counts.summary())
	case d.json && (done || d.begun):
		document := diffDocument{diffCounts: counts}
		if err != nil && !errors.Is(err, errDiffer) {
			document.Error = err.Error()
		}
		if !d.begun {
			d.out.WriteString("{\n  \"differences\": [")
		}
		d.out.WriteString("\n  ],\n")
		var rest bytes.Buffer
		if err := printJSONTo(&rest, document); err != nil {
			return err
		}
		d.out.Write(bytes.TrimPrefix(rest.Bytes(), []byte("{\n")))
	}
	return d.out.Flush()
}
