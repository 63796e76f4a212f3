package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// results are the sections by name. They are kept in results.json, so that one report can come from several runs.
type results map[string]*section

// A section is all that was measured together, in rounds.
type section struct {
	Facts  facts
	Inputs map[string]*input `json:",omitempty"`
	Series []*series
	Curves []*curve `json:",omitempty"`
}

// A series is one quantity of one subject, often an input: a value for each round, so that two series can be compared
// round by round.
type series struct {
	Subject, Name, Unit string
	Values              []float64
}

// A curve is what is drawn over time or over rows.
type curve struct {
	Name string
	X, Y []float64
}

// add appends the value of this round.
func (s *section) add(subject, name, unit string, value float64) {
	log.Printf("%-10s %-40s %12.6g %s", subject, name, value, unit)
	found := s.find(subject, name)
	if found == nil {
		found = &series{Subject: subject, Name: name, Unit: unit}
		s.Series = append(s.Series, found)
	}
	found.Values = append(found.Values, rounded(value))
}

func (s *section) find(subject, name string) *series {
	for _, one := range s.Series {
		if one.Subject == subject && one.Name == name {
			return one
		}
	}
	return nil
}

// values are those of a series, none if it was not measured.
func (s *section) values(subject, name string) []float64 {
	if found := s.find(subject, name); found != nil {
		return found.Values
	}
	return nil
}

func (c *curve) add(x, y float64) {
	c.X, c.Y = append(c.X, rounded(x)), append(c.Y, rounded(y))
}

// curve is the curve of a name, nil if it was not measured.
func (s *section) curve(name string) *curve {
	for _, c := range s.Curves {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// rounded has the six digits that a measurement is worth at most.
func rounded(value float64) float64 {
	if value == 0 {
		return 0
	}
	unit := math.Pow(10, 5-math.Floor(math.Log10(math.Abs(value))))
	return math.Round(value*unit) / unit
}

// each combines the values of two series round by round, as far as both go.
func each(a, b []float64, combine func(a, b float64) float64) []float64 {
	var all []float64
	for i := range min(len(a), len(b)) {
		all = append(all, combine(a[i], b[i]))
	}
	return all
}

func ratios(a, b []float64) []float64 {
	return each(a, b, func(a, b float64) float64 { return a / b })
}

func differences(a, b []float64) []float64 {
	return each(a, b, func(a, b float64) float64 { return a - b })
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func resultsFile(dir string) string { return filepath.Join(dir, "results.json") }

// readResults reads what earlier runs have left.
func readResults(dir string) (results, error) {
	r := results{}
	content, err := os.ReadFile(resultsFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &r); err != nil {
		return nil, fmt.Errorf("%s: %w", resultsFile(dir), err)
	}
	return r, nil
}

// publish writes the results, the plots and the report.
func (r results) publish(dir string) error {
	content, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(resultsFile(dir), append(content, '\n'), 0o644); err != nil {
		return err
	}
	plots, err := r.plot(dir)
	if err != nil {
		return err
	}
	return r.report(dir, plots)
}
