package picture

import (
	"cmp"
	"fmt"
	"slices"
	"unicode/utf8"
)

// Cell is a rectangle of a treemap, or, with Cells, several in one.
type Cell struct {
	Label, Note string // in the rectangle; Note is left out first
	Tip         string // shown over it
	Area        float64
	Color       int
	Cells       []Cell // their areas add up to Area
}

// rect is a rectangle.
type rect struct{ x, y, w, h float64 }

// Treemap draws cells as rectangles of their areas.
func Treemap(title, about string, width, height float64, cells []Cell) *SVG {
	s := New(width, height, title, about)
	s.cells(rect{0, 0, width, height}, cells, 0)
	return s
}

const (
	headHeight = 20 // above the cells in a cell
	inset      = 2
)

// cells draws the cells of one level, depth, into a rectangle.
func (s *SVG) cells(in rect, cells []Cell, depth int) {
	cells = slices.Clone(cells)
	slices.SortStableFunc(cells, func(a, b Cell) int { return cmp.Compare(b.Area, a.Area) })
	areas := make([]float64, len(cells))
	for i, c := range cells {
		areas[i] = c.Area
	}
	for i, r := range squarify(areas, in) {
		s.cell(r, &cells[i], depth)
	}
}

func (s *SVG) cell(r rect, c *Cell, depth int) {
	if r.w < 0.3 || r.h < 0.3 {
		return // it would not be seen
	}
	s.begin(c.Tip)
	s.Rect(r.x, r.y, r.w, r.h, c.Color, "edge pale")
	inner := rect{r.x + inset, r.y + headHeight, r.w - 2*inset, r.h - headHeight - inset}
	divided := len(c.Cells) > 0 && inner.w > 40 && inner.h > 20
	s.labels(r, c, depth == 0, divided)
	s.end()
	if divided {
		s.cells(inner, c.Cells, depth+1)
	}
}

// labels writes what there is room for: the label, and the note below it, or, above cells, behind it. A font that is wider than
// any is cut off at the cell's edge.
func (s *SVG) labels(r rect, c *Cell, bold, above bool) {
	class, char := "", charWidth
	if bold {
		class, char = "head", boldWidth
	}
	label := fit(c.Label, r.w-8, char)
	if label == "" || r.h < lineHeight {
		return
	}
	fmt.Fprintf(&s.body, `<svg x="%s" y="%s" width="%s" height="%s">`+"\n", number(r.x), number(r.y), number(r.w), number(r.h))
	s.Text(4, 14, class, label)
	switch note := float64(len(c.Note)) * charWidth; {
	case above && float64(utf8.RuneCountInString(c.Label)+1)*char+note < r.w-8:
		s.Text(r.w-4, 14, "end", c.Note)
	case !above && note < r.w-8 && r.h >= 2*lineHeight:
		s.Text(4, 14+16, "", c.Note)
	}
	s.body.WriteString("</svg>\n")
}

// squarify divides a rectangle into one for each area, in their order, the largest first, and as square as that can be
// (Bruls, Huizing, van Wijk: Squarified Treemaps, 2000).
func squarify(areas []float64, in rect) []rect {
	sum := 0.0
	for _, a := range areas {
		sum += a
	}
	all := make([]rect, 0, len(areas))
	if sum <= 0 {
		return all
	}
	scale := in.w * in.h / sum
	for from := 0; from < len(areas); {
		side := min(in.w, in.h)
		row, to := areas[from]*scale, from+1 // a row along the shorter side, as long as it gets squarer
		for to < len(areas) && worst(areas[from], areas[to], (row+areas[to]*scale), side, scale) <= worst(areas[from], areas[to-1], row, side, scale) {
			row += areas[to] * scale
			to++
		}
		depth := 0.0
		if side > 0 {
			depth = row / side
		}
		at := 0.0
		for _, a := range areas[from:to] {
			length := 0.0
			if row > 0 {
				length = a * scale / row * side
			}
			if in.w >= in.h {
				all = append(all, rect{in.x, in.y + at, depth, length})
			} else {
				all = append(all, rect{in.x + at, in.y, length, depth})
			}
			at += length
		}
		if in.w >= in.h {
			in.x, in.w = in.x+depth, max(in.w-depth, 0)
		} else {
			in.y, in.h = in.y+depth, max(in.h-depth, 0)
		}
		from = to
	}
	return all
}

// worst is the aspect ratio of the least square rectangle in a row of an area, with the largest and the smallest of its
// areas, along a side.
func worst(largest, smallest, row, side, scale float64) float64 {
	return max(side*side*largest*scale/(row*row), row*row/(side*side*smallest*scale))
}

func (r rect) String() string { return fmt.Sprintf("%.1f,%.1f %.1fx%.1f", r.x, r.y, r.w, r.h) }
