package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"
)

//go:embed report.tmpl
var reportText string

var reportTemplate = template.Must(template.New("").Funcs(template.FuncMap{
	"count":  count,
	"median": func(s *series) string { return digits(median(s.Values)) },
	"spread": func(s *series) string { return spread(slices.Min(s.Values), slices.Max(s.Values)) },
	"digits": digits,
}).Parse(reportText))

// A page is what the template shows.
type page struct {
	Goals []verdict
	Parts []part
}

// A part is a section of the report; the template knows the sections by name.
type part struct {
	*section
	Name   string
	Loads  []table // of inputs
	Others []*series
	Plots  []plotFile
}

// A table compares the contenders for one input with the first of them.
type table struct {
	*input
	Lines []line
}

type line struct {
	*series
	rows, megabytes float64 // per second
	ratio           []float64
}

// report writes report.md.
func (r results) report(dir string, plots []plotFile) error {
	shown := page{Goals: r.judge()}
	for _, name := range sectionNames() {
		s := r[name]
		if s == nil {
			continue
		}
		p := part{section: s, Name: name}
		for _, plot := range plots {
			if plot.section == name {
				p.Plots = append(p.Plots, plot)
			}
		}
		p.Loads, p.Others = s.tables()
		shown.Parts = append(shown.Parts, p)
	}
	var text bytes.Buffer
	if err := reportTemplate.Execute(&text, shown); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return os.WriteFile(filepath.Join(dir, "report.md"), text.Bytes(), 0o644)
}

// tables are the series of loads, by input in the order in which they were measured, and the others.
func (s *section) tables() (loads []table, others []*series) {
	for _, one := range s.Series {
		in := s.Inputs[one.Subject]
		if in == nil {
			others = append(others, one)
			continue
		}
		if len(loads) == 0 || loads[len(loads)-1].input != in {
			loads = append(loads, table{input: in})
		}
		t := &loads[len(loads)-1]
		l := line{series: one}
		took := median(one.Values)
		l.rows, l.megabytes = float64(in.Rows)/took/1e6, float64(in.Bytes)/took/1e6
		if len(t.Lines) > 0 {
			l.ratio = ratios(t.Lines[0].Values, one.Values)
		}
		t.Lines = append(t.Lines, l)
	}
	return loads, others
}

// Cells are the line's figures, in the order of the table.
func (l line) Cells() string {
	return strings.Join([]string{digits(median(l.Values)), spread(slices.Min(l.Values), slices.Max(l.Values)),
		digits(l.rows), digits(l.megabytes), l.medianRatio()}, " | ")
}

// medianRatio is how many times as fast as the first of the table it is.
func (l line) medianRatio() string {
	if l.ratio == nil {
		return "1"
	}
	return fmt.Sprintf("%s (%s)", digits(median(l.ratio)), spread(slices.Min(l.ratio), slices.Max(l.ratio)))
}

func spread(least, most float64) string { return digits(least) + " to " + digits(most) }

// digits writes three digits, which is more than most measurements are worth, and all those of a whole number.
func digits(value float64) string {
	decimals := 3
	for size := math.Abs(value); decimals > 0 && size >= 1; size /= 10 {
		decimals--
	}
	if value == math.Trunc(value) {
		decimals = 0
	}
	return strconv.FormatFloat(value, 'f', decimals, 64)
}

// count writes a number of rows as one says it.
func count(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return fmt.Sprintf("%g million", float64(n)/1e6)
	case n >= 1000 && n%1000 == 0:
		return fmt.Sprintf("%d 000", n/1000)
	default:
		return strconv.Itoa(n)
	}
}
