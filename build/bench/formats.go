package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The formats in which an input can be written, which are contenders.
const (
	asRaw       = "raw"
	asMySQL     = "mysql"
	asPSQL      = "psql"
	asCSV       = "csv"
	asCSVObject = "csv to objects"
	asTSV       = "tsv"
	asJSONL     = "jsonl"
	asMemcached = "memcached"
)

// A format says how a row is written, and how the client is told that.
type format struct {
	options []string
	header  string
	append  func(dst, key, value []byte) []byte
}

var formats = map[string]format{
	asRaw:   {append: appendTabbed},
	asTSV:   {options: []string{"--from", "tsv"}, append: appendTabbed},
	asMySQL: {options: []string{"--from", "mysql"}, append: appendEscaped},
	asPSQL:  {options: []string{"--from", "psql"}, append: appendEscaped},
	asCSV:   {options: []string{"--from", "csv"}, append: appendCSV},
	asCSVObject: {
		options: []string{"--from", "csv", "--header", "--key", "user:{id}", "--value", "json"},
		header:  "id,value\n", append: appendCSV,
	},
	asJSONL:     {options: []string{"--from", "jsonl"}, append: appendObject},
	asMemcached: {options: []string{"--from", "memcached"}, append: appendCommand},
}

func appendTabbed(dst, key, value []byte) []byte {
	return fmt.Appendf(dst, "%s\t%s\n", key, value)
}

// appendEscaped writes what mysql and psql write of a value without control bytes.
func appendEscaped(dst, key, value []byte) []byte {
	return appendTabbed(dst, key, bytes.ReplaceAll(value, []byte(`\`), []byte(`\\`)))
}

func appendCSV(dst, key, value []byte) []byte {
	if bytes.ContainsAny(value, `",`) {
		value = fmt.Appendf(nil, `"%s"`, bytes.ReplaceAll(value, []byte(`"`), []byte(`""`)))
	}
	return fmt.Appendf(dst, "%s,%s\n", key, value)
}

func appendObject(dst, key, value []byte) []byte {
	text, _ := json.Marshal(string(value)) // strings have no error
	return fmt.Appendf(dst, `{"key":"%s","value":%s}`+"\n", key, text)
}

func appendCommand(dst, key, value []byte) []byte {
	return fmt.Appendf(dst, "set %s 0 0 %d\r\n%s\r\n", key, len(value), value)
}

// byFormat is a load of an input's rows from a file in a format.
func byFormat(name string) contender {
	return func(b *bench, in *input, args []string) (float64, error) {
		path := in.path + strings.ReplaceAll(" as "+name, " ", "_")
		if _, err := os.Stat(path); err != nil {
			if err := in.writeAs(formats[name], path); err != nil {
				return 0, fmt.Errorf("%s: %w", filepath.Base(path), err)
			}
		}
		s, err := loadLibrary(b, args...)
		if err != nil {
			return 0, err
		}
		defer s.stop()
		f, err := os.Open(path)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		return s.load(in, f, formats[name].options...)
	}
}

// writeAs writes the input's rows to a file in a format.
func (in *input) writeAs(f format, path string) error {
	from, err := os.Open(in.path)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.Create(path)
	if err != nil {
		return err
	}
	defer to.Close()
	w := bufio.NewWriterSize(to, 1<<20)
	w.WriteString(f.header)
	var row []byte
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		key, value, _ := bytes.Cut(lines.Bytes(), []byte("\t"))
		row = f.append(row[:0], key, value)
		w.Write(row) // its error comes with Flush
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return to.Sync()
}
