package main

import (
	"fmt"
	"os"
	"path/filepath"

	"memcached-backdoor/client/picture"
)

// A plotFile is a plot that the report shows in a section.
type plotFile struct{ section, Name, Title string }

// colors tell the contenders apart.
var colors = map[string]int{protocolMS: 5, protocolSet: 1, doorFile: 0, doorPlain: 0, doorPipe: 4, doorUnlocated: 2, loopC: 6}

// notMeasured stands where a series would be.
const notMeasured = "not measured"

// plotWidth is the width of all plots in pixels.
const plotWidth = 760

// plot draws what has been measured.
func (r results) plot(dir string) ([]plotFile, error) {
	var files []plotFile
	for _, drawn := range []struct {
		plotFile
		draw func(*section, string) *picture.SVG
	}{
		{plotFile{"load", "speed.svg", "Speed while a load grows the table"}, drawSpeed},
		{plotFile{"load", "load.svg", "Speed into a memcached as it is by default"}, drawBars(
			[]string{once, fiveTimes, tenTimes}, []string{protocolMS, protocolSet, doorFile, doorPipe})},
		{plotFile{"presized", "presized.svg", "Speed into a table that need not grow"}, drawBars(
			[]string{once}, []string{loopC, protocolMS, doorFile, doorUnlocated, doorPipe})},
		{plotFile{"live", "live.svg", "p99 of other clients"}, drawLatency},
	} {
		s := r[drawn.section]
		if s == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, drawn.Name), []byte(drawn.draw(s, drawn.Title).File()), 0o644); err != nil {
			return nil, err
		}
		files = append(files, drawn.plotFile)
	}
	return files, nil
}

// drawSpeed draws the rows a second over the rows that are loaded.
func drawSpeed(s *section, title string) *picture.SVG {
	c := chart{title: title, xLabel: "million rows loaded", yLabel: "million rows/s"}
	for _, name := range []string{protocolMS, doorFile} {
		c.curves = append(c.curves, speeds(name, s.curve(name)))
	}
	return c.draw()
}

// speeds are the rows a second between samples that are some apart: from one sample to the next they would jump.
func speeds(name string, c *curve) *curve {
	const apart = 5
	of := &curve{Name: name}
	for i := apart; c != nil && i < len(c.X); i++ {
		of.X = append(of.X, (c.Y[i]+c.Y[i-apart])/2/1e6)
		of.Y = append(of.Y, (c.Y[i]-c.Y[i-apart])/(c.X[i]-c.X[i-apart])/1e6)
	}
	return of
}

// drawLatency draws the traffic's p99 of each tenth of a second; loads begin at 0.
func drawLatency(s *section, title string) *picture.SVG {
	c := chart{title: title, xLabel: "seconds since the load began", yLabel: "p99, µs", logarithmic: true}
	for _, name := range []string{protocolMS, doorPlain} {
		found := s.curve(name)
		if found == nil {
			found = &curve{Name: name}
		}
		c.curves = append(c.curves, found)
	}
	return c.draw()
}

// drawBars draws the speed of contenders for each input.
func drawBars(inputs, names []string) func(*section, string) *picture.SVG {
	return func(s *section, title string) *picture.SVG {
		b := picture.Bars{Title: title, About: "Bars: million rows a second, by the number of rows and by what loads them.", Width: plotWidth}
		b.Rows = append(b.Rows, picture.Row{Heading: true, Label: title + ", in million rows/s"})
		for _, of := range inputs {
			in := s.Inputs[of]
			if in == nil {
				continue
			}
			b.Rows = append(b.Rows, picture.Row{Heading: true, Label: count(in.Rows) + " rows"})
			for _, name := range names {
				row := picture.Row{Label: name, Number: notMeasured}
				if took := s.values(of, name); took != nil {
					speed := float64(in.Rows) / median(took) / 1e6
					row.Parts, row.Number = []picture.Part{{Value: speed, Color: colors[name]}}, digits(speed)
					row.Tip = fmt.Sprintf("%s: %s million rows/s", name, digits(speed))
				}
				b.Rows = append(b.Rows, row)
			}
		}
		return b.SVG()
	}
}
