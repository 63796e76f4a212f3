package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// differences prints differences as they are found, as lines or as the elements of an array in one
// JSON document. It keeps none in memory.
type differences struct {
	out   *bufio.Writer
	json  bool
	begun bool // one was printed
}

func newDifferences(out io.Writer, asJSON bool) *differences {
	return &differences{out: bufio.NewWriter(out), json: asJSON}
}

// signs are the words for the signs of lines.
var signs = map[byte]string{'-': "missing", '+': "added", '~': "changed"}

// differenceJSON is an element of the array.
type differenceJSON struct {
	Is      string   `json:"is"` // "missing", "added" or "changed"
	Key     *string  `json:"key,omitempty"`
	Base64  []byte   `json:"key_base64,omitempty"`
	Differs []string `json:"differs,omitempty"` // "value", "flags", "ttl", "stale", "won"
}

func differenceOf(sign byte, key []byte, what string) differenceJSON {
	element := differenceJSON{Is: signs[sign]}
	element.Key, element.Base64 = jsonText(key)
	if what != "" {
		element.Differs = strings.Split(what, ",")
	}
	return element
}

// add prints an item; what is how it differs, words separated by commas. A failure to write is
// returned by end.
func (d *differences) add(sign byte, key []byte, what string) {
	if !d.json {
		fmt.Fprintf(d.out, "%c %s", sign, shownKey(key))
		if what != "" {
			fmt.Fprintf(d.out, " %s", what)
		}
		d.out.WriteByte('\n')
		return
	}
	var text bytes.Buffer
	if err := newEncoder(&text).Encode(differenceOf(sign, key, what)); err != nil {
		panic(err) // it has only strings
	}
	if d.begun {
		d.out.WriteString(",\n    ")
	} else {
		d.out.WriteString("{\n  \"differences\": [\n    ")
	}
	d.begun = true
	d.out.Write(bytes.TrimSuffix(text.Bytes(), []byte("\n"))) // a comma may follow
}

// diffDocument is what follows the array.
type diffDocument struct {
	*diffCounts
	Error string `json:"error,omitempty"`
}

// end prints the counts, if the comparison is done, and its error. It flushes the output.
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
