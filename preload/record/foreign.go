package record

import (
	"bytes"
	"regexp"
	"unicode/utf8"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/option"
)

// lookMax is how many bytes are looked at in front of the first row.
const lookMax = 4096

// A look looks at the beginning of an input, once, whether it is a foreign file: one that has no rows of the format,
// and would be stored as garbage. What a foreign file begins with is certain, for no row can begin so, or it counts only
// if the first line is not a row: in front of the first row nothing waits for the answer.
type look struct {
	options Options
	probe   *Parser // parses what is in front of the first row
	at      int     // bytes that it has parsed
	failed  int     // bytes up to the end of what it has failed at; 0: it has not
	header  int     // bytes up to the end of the header; 0: there is none
	doubt   bool    // the first line may be of rows all the same: it has a good key, or a row follows that shows it
}

// foreign looks at data, the beginning of the input. It is called with the same bytes and more behind them until known
// is true: with an error, it is an *option.Error, the input is a foreign file.
func (l *look) foreign(data []byte, eof bool, rowMax int) (known bool, err error) {
	if k := certain(data); k != nil {
		return true, l.refuse(k)
	}
	head, isRow, known := l.head(data, eof, rowMax)
	if !known || isRow {
		return known, nil
	}
	if k := l.uncertain(head); k != nil {
		return true, l.refuse(k)
	}
	return true, nil
}

// head is what comes up to the first row, with that; isRow says that there is nothing before it. Which bytes it is does
// not depend on how many there are behind it.
func (l *look) head(data []byte, eof bool, rowMax int) (head []byte, isRow, known bool) {
	limit := min(lookMax, rowMax+1)
	all := data[:min(len(data), limit)]
	for l.failed == 0 {
		window, end := data, eof
		if l.at > 0 && len(data) > limit {
			window, end = all, false
		}
		if l.at >= len(window) {
			return all, false, end || l.at >= limit
		}
		var row Row
		kind := l.probe.Next(window[l.at:], end, &row)
		if kind == More {
			return all, false, len(data) > rowMax || l.at > 0 && len(window) >= limit
		}
		next, blank := l.at+row.Size, len(bytes.TrimSpace(window[:l.at])) == 0
		switch {
		case kind == Item, kind == Skip:
			l.doubt = l.doubt || l.header == l.at || isStray(data[:l.at], data[l.at:next])
			return data[:next], blank, true
		case row.Header:
			l.header = next
		case blank:
			l.doubt = row.Known
		}
		switch kind {
		case Failed:
			l.failed = next
		default:
			l.at = next
		}
	}
	// A line more may tell what it is.
	end := max(l.failed, limit)
	if n := bytes.IndexByte(data[l.failed:], '\n'); n >= 0 && l.failed+n < end {
		return data[:l.failed+n+1], false, true
	}
	return data[:min(len(data), end)], false, eof || len(data) >= end
}

func (l *look) refuse(k *fileKind) error {
	return option.Errorf(k.wayOut(l.options.Format), "the input is %s, not rows in the format %s", k.what, l.options.Format)
}

// uncertain is the kind of a file whose first line is not a row.
func (l *look) uncertain(head []byte) *fileKind {
	text := bytes.TrimPrefix(head, []byte("\xef\xbb\xbf"))
	// The byte of a line feed is half of other characters, too, such as U+4E0A.
	marked := bytes.HasPrefix(head, []byte("\xff\xfe")) || bytes.HasPrefix(head, []byte("\xfe\xff"))
	if marked && bytes.IndexByte(head, 0) >= 0 || isUTF16(text) {
		return &utf16Text
	}
	text = bytes.TrimLeft(text, "\r\n")
	line, _, _ := bytes.Cut(text, lineFeed)
	delimiter := delimiters[l.options.Format]
	if d, err := newDialect(&l.options); err == nil && d.delimiter != 0 {
		delimiter = string(rune(d.delimiter))
	}
	if delimiter != "" && bytes.HasPrefix(line, []byte(delimiter)) {
		return nil // a row with an empty key
	}
	text = bytes.TrimLeft(text, " \t\r\n")
	for i := range texts {
		k := &texts[i]
		if k.is(l.options.Format, text) {
			return &k.fileKind
		}
	}
	if delimiter != "" && !l.doubt {
		if field, _, _ := bytes.Cut(line, []byte(delimiter)); bytes.ContainsFunc(field, isControl) {
			return &fileKind{what: "a binary file, which begins with " + clip.QuoteN(line, 16)}
		}
	}
	return nil
}

// delimiters end the first column of a row, which no format writes control bytes in; what is behind it may be any bytes.
// A dialect has its own. The formats of commands need none: what is not a whole command is never stored.
var delimiters = map[Format]string{Raw: "\t", MySQL: "\t", PSQL: "\t", JSONL: `"`}

// isControl reports whether a character is one that no text has: white space and escape, which colours begin with, are
// in texts.
func isControl(r rune) bool {
	return r < ' ' && (r < '\t' || r > '\r') && r != 0x1b || r == 0x7f
}

// isStray reports whether a line is bad by itself, and not as a binary file is: a row of text follows.
func isStray(line, row []byte) bool {
	line = bytes.Trim(line, "\r\n")
	return utf8.Valid(line) && bytes.IndexByte(line, '\n') < 0 && utf8.Valid(row) && !bytes.ContainsFunc(row, isControl)
}

// isUTF16 reports whether a text without a byte order mark is plainly UTF-16: its first characters are ASCII, and each
// has a NUL on the same side.
func isUTF16(text []byte) bool {
	const least = 4
	line, _, _ := bytes.Cut(text, lineFeed)
	if len(line) < 2*least {
		return false
	}
	for side := range 2 { // the NUL comes first, in the big-endian order, or second
		n := 0
		for n < least && line[2*n+side] == 0 && line[2*n+1-side] != 0 && line[2*n+1-side] < utf8.RuneSelf {
			n++
		}
		if n == least {
			return true
		}
	}
	return false
}

// texts are the kinds of files that a first line, or two, tell; the first that matches counts.
var texts = []struct {
	fileKind
	is func(format Format, text []byte) bool
}{
	{htmlFile, func(_ Format, text []byte) bool { return htmlBegin.Match(text) }},
	{xmlFile, func(_ Format, text []byte) bool { return xmlBegin.Match(text) }},
	{jsonFile, func(format Format, text []byte) bool {
		line, _, _ := bytes.Cut(text, lineFeed)
		return format != JSONL && jsonBegin.Match(text) && bytes.IndexByte(line, '\t') < 0 // else it has columns
	}},
	{dumpFile, func(format Format, text []byte) bool { return !isCommands(format) && dumpBegin.Match(text) }},
	{commandFile, func(format Format, text []byte) bool { return !isCommands(format) && commandBegin.Match(text) }},
	{mysqlScript, func(_ Format, text []byte) bool { return mysqlBegin.Match(text) }},
	{sqliteScript, func(_ Format, text []byte) bool { return sqliteBegin.Match(text) }},
	// Of psql's own scripts the format psql knows more (table.between).
	{pgScript, func(format Format, text []byte) bool { return format != PSQL && pgBegin.Match(text) }},
	{sqlScript, func(format Format, text []byte) bool {
		return format != PSQL && scriptBegin.Match(text) && statement.Match(text)
	}},
	{tableText, func(_ Format, text []byte) bool { return tableBegin.Match(text) }},
	{verticalText, func(_ Format, text []byte) bool { return verticalBegin.Match(text) }},
	{pdfFile, func(_ Format, text []byte) bool { return pdfBegin.Match(text) }},
	{image, func(_ Format, text []byte) bool { return imageBegin.Match(text) }},
	{pemFile, func(_ Format, text []byte) bool { return bytes.HasPrefix(text, []byte("-----BEGIN ")) }},
	{patchFile, func(_ Format, text []byte) bool { return patchBegin.Match(text) }},
	{arFile, func(_ Format, text []byte) bool { return bytes.HasPrefix(text, []byte("!<arch>\n")) }},
	{redisFile, func(_ Format, text []byte) bool { return aofBegin.Match(text) }},
}

// isScript reports whether a line between the rows of COPY is of the script that has them: a comment, or COPY itself.
func isScript(line []byte) bool {
	if bytes.IndexByte(line, '\t') >= 0 {
		return false
	}
	return bytes.HasPrefix(line, []byte("--")) || bytes.HasPrefix(line, []byte("COPY ")) && bytes.Contains(line, []byte(" FROM stdin"))
}

func isCommands(format Format) bool { return format == Memcached || format == Dump }

// What the files begin with, behind white space.
var (
	htmlBegin     = regexp.MustCompile(`^(?i)<(!doctype html|html|head|body|table|tr|th|td|div|p|meta|title)[\s>]`)
	xmlBegin      = regexp.MustCompile(`^<([?!]|[A-Za-z][\w:.-]*[\s/>])`)
	jsonBegin     = regexp.MustCompile(`^(\{\s*["}]|\{\s*$|\[\s*[{"\[\]]|\[\s*$)`)
	dumpBegin     = regexp.MustCompile(`^ms \S+ \d+ .*O[0-9a-f]{8}[XZ]* q\r?\n`)
	commandBegin  = regexp.MustCompile(`^((set|add|replace|append|prepend) \S+ \d+ -?\d+ \d+( noreply)?|cas \S+ \d+ -?\d+ \d+ \d+( noreply)?|ms \S+ \d+( \S+)*) *\r?\n`)
	mysqlBegin    = regexp.MustCompile(`^(/\*M?!\d|-- (MySQL|MariaDB) dump )`)
	sqliteBegin   = regexp.MustCompile(`^PRAGMA \w+`)
	pgBegin       = regexp.MustCompile(`^(--\s+)*-- PostgreSQL database (cluster )?dump`)
	scriptBegin   = regexp.MustCompile(`^(?i)(--|/\*|#|` + statements + `)`)
	statement     = regexp.MustCompile(`(?im)^` + statements)
	tableBegin    = regexp.MustCompile(`^(\+[-=]+[-=+]*\+\s|[┌╭╔┏]|\|? ?[^\n]*\n[|+]?[-:]{2}[-:+| ]{2,}\r?(\n|$))`)
	verticalBegin = regexp.MustCompile(`^(\*{5,} *\d+\. row \*{5,}|-\[ RECORD \d+ \]|─+\[ RECORD)`)
	pdfBegin      = regexp.MustCompile(`^(%PDF-\d|%!PS|\{\\rtf\d)`)
	imageBegin    = regexp.MustCompile(`^(P[1-7]\s+(#[^\n]*\n\s*)*(\d+\s|WIDTH )|/\* XPM \*/|#define \S+_width |id=ImageMagick\s)`)
	patchBegin    = regexp.MustCompile(`^(diff -[^\n]*\n|--- [^\n]+\n\+\+\+ |\*\*\* [^\n]+\n--- )`)
	aofBegin      = regexp.MustCompile(`^\*\d+\r\n\$\d+\r\n`)
)

const statements = `(insert into|replace into|create (or replace )?(temporary )?(table|database|schema|function|view|index|sequence)|drop (table|database)|lock tables|alter (table|database)|begin( transaction)?;|start transaction|set (names|@|\w+(\.\w+)* *(=|to ))|use \S+;|copy \S+ .*from stdin|select pg_catalog)`
