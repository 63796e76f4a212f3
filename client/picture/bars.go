package picture

// Row is a bar with its name and number, or a heading above bars.
type Row struct {
	Heading bool
	Label   string
	Parts   []Part // from left to right; none: there is no bar, and Number says why
	Number  string
	Tip     string // shown over the row; "": nothing
}

// Part is a part of a bar.
type Part struct {
	Value  float64
	Color  int
	Hollow bool // pale, for what is not there
}

// Bars are horizontal bars, below a legend.
type Bars struct {
	Title, About string
	Width        float64
	Legend       []Key
	Rows         []Row
}

const barGap = 8

// SVG draws the bars. The longest has what the names and the numbers leave of the width.
func (b *Bars) SVG() *SVG {
	const (
		rowHeight = 22
		heading   = 26
	)
	label, numbers, most, height := 0, 0, 0.0, b.top()
	for _, r := range b.Rows {
		if r.Heading {
			height += heading
			continue
		}
		height += rowHeight
		label = max(label, len([]rune(r.Label)))
		if len(r.Parts) > 0 {
			numbers = max(numbers, len([]rune(r.Number)))
		}
		most = max(most, r.sum())
	}
	left := min(float64(label+1)*charWidth, 0.4*b.Width) + barGap
	room := max(b.Width-left-float64(numbers)*charWidth-barGap, b.Width/8)
	s := New(b.Width, height+2, b.Title, b.About)
	s.Legend(0, 0, b.Legend)
	y := b.top()
	for _, r := range b.Rows {
		if r.Heading {
			s.Text(0, y+heading-9, "head", r.Label)
			y += heading
			continue
		}
		s.begin(r.Tip)
		s.Text(left-barGap, y+15, "end", fit(r.Label, left-barGap, charWidth))
		x := left
		for _, p := range r.Parts {
			if p.Value <= 0 || most == 0 {
				continue
			}
			w := max(p.Value/most*room, 0.5)
			s.Rect(x, y+3, w, rowHeight-6, p.Color, hollow(p.Hollow))
			x += w
		}
		s.Line(left, y, left, y+rowHeight)
		if len(r.Parts) == 0 {
			s.Text(x+barGap/2, y+15, "soft", r.Number)
		} else {
			s.Text(x+barGap/2, y+15, "", r.Number)
		}
		s.end()
		y += rowHeight
	}
	return s
}

// top is where the bars begin.
func (b *Bars) top() float64 {
	if len(b.Legend) == 0 {
		return 0
	}
	return LegendHeight(b.Legend) + barGap
}

func (r *Row) sum() (sum float64) {
	for _, p := range r.Parts {
		sum += max(p.Value, 0)
	}
	return sum
}

// begin begins a group of shapes, with a text that is shown when something points at them; end ends it.
func (s *SVG) begin(tip string) {
	s.body.WriteString("<g>")
	if tip != "" {
		s.body.WriteString("<title>" + escape(tip) + "</title>")
	}
	s.body.WriteString("\n")
}

func (s *SVG) end() { s.body.WriteString("</g>\n") }
