package main

import (
	"math"
	"strconv"

	"memcached-backdoor/client/picture"
)

// chart has curves over a common axis, below their legend.
type chart struct {
	title, xLabel, yLabel string
	logarithmic           bool // the values
	curves                []*curve
}

// The places of what is drawn, in pixels.
const (
	plotHeight = 300 // of the curves
	plotLeft   = 66  // the numbers of the values
	plotRight  = 16
	plotHead   = 26 // the title
	plotUnit   = 34 // what the values are
	plotFoot   = 44 // the numbers of the axis, and what these are
)

// draw draws the chart. A curve without points is in the legend as not measured.
func (c *chart) draw() *picture.SVG {
	var keys []picture.Key
	var x, y axis
	for _, of := range c.curves {
		key := picture.Key{Name: of.Name, Color: colors[of.Name]}
		if len(of.X) == 0 {
			key.Name += ": " + notMeasured
			key.Hollow = true
		}
		keys = append(keys, key)
		x.include(of.X)
		y.include(of.Y)
	}
	x.include([]float64{0})
	if !c.logarithmic {
		y.include([]float64{0})
	}
	y.logarithmic = c.logarithmic
	y.widen()
	top := plotHead + picture.LegendHeight(keys) + plotUnit
	s := picture.New(plotWidth, top+plotHeight+plotFoot, c.title, "Curves: "+c.yLabel+" over "+c.xLabel+".")
	s.Text(0, 15, "head", c.title)
	s.Legend(0, plotHead, keys)
	s.Text(0, top-16, "soft", c.yLabel)
	x.from, x.to = plotLeft, plotWidth-plotRight
	y.from, y.to = top+plotHeight, top
	for _, at := range y.ticks() {
		s.Line(plotLeft, y.place(at), plotWidth-plotRight, y.place(at))
		s.Text(plotLeft-8, y.place(at)+4, "end", short(at))
	}
	for _, at := range x.ticks() {
		s.Line(x.place(at), y.from, x.place(at), y.from+5)
		s.Text(x.place(at), y.from+18, "middle", short(at))
	}
	s.Text((x.from+x.to)/2, y.from+38, "middle soft", c.xLabel)
	for _, of := range c.curves {
		var xs, ys []float64
		for i := range of.X {
			xs, ys = append(xs, x.place(of.X[i])), append(ys, y.place(of.Y[i]))
		}
		if len(xs) > 0 {
			s.Curve(xs, ys, colors[of.Name])
		}
	}
	return s
}

// axis maps values to places.
type axis struct {
	known       bool
	low, high   float64
	logarithmic bool
	from, to    float64 // the places of low and high
}

func (a *axis) include(values []float64) {
	for _, v := range values {
		if !a.known {
			a.known, a.low, a.high = true, v, v
		}
		a.low, a.high = min(a.low, v), max(a.high, v)
	}
}

// widen makes room above the highest value, to the next tick of a logarithmic axis.
func (a *axis) widen() {
	if a.logarithmic && a.low > 0 {
		a.low, a.high = math.Pow(10, math.Floor(math.Log10(a.low))), math.Pow(10, math.Ceil(math.Log10(a.high)))
	} else {
		a.high += (a.high - a.low) / 20
	}
}

func (a *axis) place(value float64) float64 {
	low, high := a.low, a.high
	if a.logarithmic {
		low, high, value = math.Log10(low), math.Log10(high), math.Log10(value)
	}
	if high == low {
		return a.from
	}
	return a.from + (value-low)/(high-low)*(a.to-a.from)
}

// ticks are round numbers, five or so, or powers of ten.
func (a *axis) ticks() (all []float64) {
	if a.logarithmic {
		for at := a.low; at > 0 && at <= a.high*1.001; at *= 10 {
			all = append(all, at)
		}
		return all
	}
	return ticks(a.low, a.high)
}

// ticks are round numbers, five or so.
func ticks(low, high float64) (all []float64) {
	if high <= low {
		return []float64{low}
	}
	unit := math.Pow(10, math.Floor(math.Log10((high-low)/3)))
	for _, step := range []float64{5, 2} {
		if (high-low)/(step*unit) >= 3 {
			unit *= step
			break
		}
	}
	for i := math.Ceil(low / unit); i*unit <= high; i++ {
		all = append(all, i*unit)
	}
	return all
}

// short is a number of an axis.
func short(value float64) string {
	if math.Abs(value) >= 1000 && value == math.Trunc(value) {
		return strconv.FormatFloat(value/1000, 'f', -1, 64) + " 000"
	}
	return strconv.FormatFloat(value, 'g', 3, 64)
}
