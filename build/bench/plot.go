package main

import (
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// A plotFile is a plot that the report shows in a section.
type plotFile struct{ section, Name, Title string }

// colors tell the contenders apart, also where colors are not seen well.
var colors = map[string]color.Color{
	protocolMS:    color.RGBA{R: 0xd5, G: 0x5e, A: 0xff},
	protocolSet:   color.RGBA{R: 0xe6, G: 0x9f, A: 0xff},
	doorFile:      color.RGBA{G: 0x72, B: 0xb2, A: 0xff},
	doorPlain:     color.RGBA{G: 0x72, B: 0xb2, A: 0xff},
	doorPipe:      color.RGBA{R: 0x56, G: 0xb4, B: 0xe9, A: 0xff},
	doorUnlocated: color.RGBA{G: 0x9e, B: 0x73, A: 0xff},
	loopC:         color.RGBA{R: 0x80, G: 0x80, B: 0x80, A: 0xff},
}

// plot draws what has been measured.
func (r results) plot(dir string) ([]plotFile, error) {
	var files []plotFile
	for _, drawn := range []struct {
		plotFile
		draw func(*section, *plot.Plot) error
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
		p := plot.New()
		p.Title.Text, p.Title.Padding = drawn.Title, vg.Points(6)
		p.Legend.Top, p.Legend.XOffs, p.Legend.Padding = true, vg.Points(-6), vg.Points(2)
		p.X.Tick.Marker, p.Y.Tick.Marker = plot.TickerFunc(ticks), plot.TickerFunc(ticks)
		p.Add(plotter.NewGrid())
		err := drawn.draw(s, p)
		if err == nil {
			err = p.Save(7*vg.Inch, 4*vg.Inch, filepath.Join(dir, drawn.Name))
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", drawn.Name, err)
		}
		files = append(files, drawn.plotFile)
	}
	return files, nil
}

// ticks are round numbers, five or so.
func ticks(low, high float64) []plot.Tick {
	unit := math.Pow(10, math.Floor(math.Log10((high-low)/3)))
	for _, step := range []float64{5, 2} {
		if (high-low)/(step*unit) >= 3 {
			unit *= step
			break
		}
	}
	var all []plot.Tick
	for i := math.Ceil(low / unit); i*unit <= high; i++ {
		all = append(all, plot.Tick{Value: i * unit, Label: strconv.FormatFloat(i*unit, 'g', 3, 64)})
	}
	return all
}

// drawSpeed draws the rows a second over the rows that are loaded.
func drawSpeed(s *section, p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "million rows loaded", "million rows/s"
	for _, name := range []string{protocolMS, doorFile} {
		if err := drawLine(p, name, speeds(s.curve(name))); err != nil {
			return err
		}
	}
	p.X.Min, p.Y.Min = 0, 0
	p.Y.Max *= 1.25 // room for the legend
	return nil
}

// speeds are the rows a second between samples that are some apart: from one sample to the next they would jump.
func speeds(c *curve) plotter.XYs {
	const apart = 5
	var points plotter.XYs
	for i := apart; c != nil && i < len(c.X); i++ {
		points = append(points, plotter.XY{
			X: (c.Y[i] + c.Y[i-apart]) / 2 / 1e6,
			Y: (c.Y[i] - c.Y[i-apart]) / (c.X[i] - c.X[i-apart]) / 1e6,
		})
	}
	return points
}

// drawLatency draws the traffic's p99 of each tenth of a second; loads begin at 0.
func drawLatency(s *section, p *plot.Plot) error {
	p.X.Label.Text, p.Y.Label.Text = "seconds since the load began", "p99, µs"
	p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	for _, name := range []string{protocolMS, doorPlain} {
		var points plotter.XYs
		if c := s.curve(name); c != nil {
			for i := range c.X {
				points = append(points, plotter.XY{X: c.X[i], Y: c.Y[i]})
			}
		}
		if err := drawLine(p, name, points); err != nil {
			return err
		}
	}
	p.Y.Max *= 5 // room for the legend
	return nil
}

// drawLine adds a curve, unless there is nothing of it.
func drawLine(p *plot.Plot, name string, points plotter.XYs) error {
	if len(points) == 0 {
		return nil
	}
	l, err := plotter.NewLine(points)
	if err != nil {
		return err
	}
	l.Color, l.Width = colors[name], vg.Points(1.5)
	p.Add(l)
	p.Legend.Add(name, l)
	return nil
}

// drawBars draws the speed of contenders for each input, as far as they were measured.
func drawBars(inputs, names []string) func(*section, *plot.Plot) error {
	return func(s *section, p *plot.Plot) error {
		p.Y.Label.Text = "million rows/s"
		var labels []string
		for _, name := range inputs {
			labels = append(labels, count(s.Inputs[name].Rows)+" rows")
		}
		p.NominalX(labels...)
		width := vg.Points(100 / float64(len(names)))
		for i, name := range names {
			var speeds plotter.Values
			for _, of := range inputs {
				speed := 0.0
				if took := s.values(of, name); took != nil {
					speed = float64(s.Inputs[of].Rows) / median(took) / 1e6
				}
				speeds = append(speeds, speed)
			}
			bars, err := plotter.NewBarChart(speeds, width)
			if err != nil {
				return err
			}
			bars.Color, bars.LineStyle.Width = colors[name], 0
			bars.Offset = width * vg.Length(float64(i)-float64(len(names)-1)/2)
			p.Add(bars)
			p.Legend.Add(name, bars)
		}
		p.Y.Max *= 1.5 // room for the legend
		return nil
	}
}
