package main

import (
	"cmp"
	"math"
	"os"
	"strconv"
	"strings"
	"unicode"

	textwidth "golang.org/x/text/width"
)

// textBars draws bars of characters.
type textBars struct {
	columns int  // of the terminal
	blocks  bool // the terminal has Unicode's block elements
}

// newTextBars makes bars as wide as the terminal that is standard output, or 80 columns.
func newTextBars() *textBars {
	locale := cmp.Or(os.Getenv("LC_ALL"), os.Getenv("LC_CTYPE"), os.Getenv("LANG")) // locale(7)
	locale = strings.ToLower(strings.ReplaceAll(locale, "-", ""))
	return &textBars{columns: width(os.Stdout), blocks: strings.Contains(locale, "utf8")}
}

// barRow is a bar with what stands before and behind it.
type barRow struct {
	label   string
	value   uint64
	figures []string // all rows have as many
}

// labelMin is the least that labels get of the columns, and barMin the least length of the longest bar.
const (
	labelMin = 12
	barMin   = 8
)

// lines are the rows, below a header of the figures. Labels are cut to a third of the columns, if that is enough for
// them to be read.
func (t *textBars) lines(header []string, rows []barRow) []string {
	widths := make([]int, len(header))
	for i, name := range header {
		widths[i] = len(name)
	}
	most, labels := uint64(0), 0
	for i := range rows {
		r := &rows[i]
		r.label = t.printable(r.label)
		labels = max(labels, columnsOf(r.label))
		most = max(most, r.value)
		for n, figure := range r.figures {
			widths[n] = max(widths[n], columnsOf(figure))
		}
	}
	labels = min(labels, max(t.columns/3, labelMin))
	const gap = 2
	room := t.columns - 1 - labels - gap // some terminals wrap when the last column is filled
	for _, w := range widths {
		room -= gap + w
	}
	room = max(room, barMin)
	line := func(label, bar string, figures []string) string {
		line := pad(label, labels) + strings.Repeat(" ", gap) + pad(bar, room)
		for n, figure := range figures {
			line += strings.Repeat(" ", gap+widths[n]-columnsOf(figure)) + figure
		}
		return line
	}
	all := []string{line("", "", header)}
	for _, r := range rows {
		part := 0.0
		if most > 0 {
			part = float64(r.value) / float64(most)
		}
		all = append(all, line(t.cut(r.label, labels), t.bar(part, room), r.figures))
	}
	return all
}

// bar is a bar of a part, up to 1, of some columns. What is not 0 is seen.
func (t *textBars) bar(part float64, columns int) string {
	if !t.blocks {
		n := int(math.Round(part * float64(columns)))
		if part > 0 {
			n = max(n, 1)
		}
		return strings.Repeat("#", n)
	}
	eighths := int(math.Round(part * float64(8*columns)))
	if part > 0 {
		eighths = max(eighths, 1)
	}
	bar := strings.Repeat("█", eighths/8)
	if rest := eighths % 8; rest > 0 {
		bar += string([]rune(" ▏▎▍▌▋▊▉")[rest])
	}
	return bar
}

// printable is a label that the terminal can show.
func (t *textBars) printable(label string) string {
	if !t.blocks && strings.ContainsFunc(label, func(r rune) bool { return r > unicode.MaxASCII }) {
		return strconv.QuoteToASCII(label)
	}
	return label
}

// cut is the beginning of a label that is too long.
func (t *textBars) cut(label string, columns int) string {
	if columnsOf(label) <= columns {
		return label
	}
	more := "..."
	if t.blocks {
		more = "…"
	}
	kept := ""
	for _, r := range label {
		if columnsOf(kept+string(r)) > columns-len([]rune(more)) {
			break
		}
		kept += string(r)
	}
	return kept + more
}

func pad(text string, columns int) string {
	return text + strings.Repeat(" ", max(columns-columnsOf(text), 0))
}

// columnsOf is how many columns a text takes: two for each wide character, none for a mark (Unicode Standard Annex 11).
func columnsOf(text string) int {
	n := 0
	for _, r := range text {
		switch kind := textwidth.LookupRune(r).Kind(); {
		case unicode.In(r, unicode.Mn, unicode.Me):
		case kind == textwidth.EastAsianWide, kind == textwidth.EastAsianFullwidth:
			n += 2
		default:
			n++
		}
	}
	return n
}
