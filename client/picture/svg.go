// Package picture draws the pictures of a report, and of the benchmark, as SVG. They have no fonts of their own and do
// not measure text: whatever font shows them, a text has room, is cut off, or stands where nothing follows.
package picture

import (
	"encoding/xml"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Colors is the number of colors. They can be told apart by those who do not see all colors, too (Okabe and Ito, Color
// Universal Design, 2008).
const Colors = 8

// Style has the colors as CSS, for light and dark screens. A picture that stands alone has it, and a page has it once.
const Style = `:root{--pale:.33;--paper:#fff;--ink:#1c1e21;--soft:#5a6069;--line:#d5d9de;` +
	`--c0:#0072b2;--c1:#e69f00;--c2:#009e73;--c3:#cc79a7;--c4:#56b4e9;--c5:#d55e00;--c6:#8a8f98;--c7:#b5a600}
@media(prefers-color-scheme:dark){:root{--pale:.22;--paper:#15181c;--ink:#e9ebee;--soft:#a3aab4;--line:#3a4048;` +
	`--c0:#3a8fd0;--c4:#9bdcff;--c7:#f0e442}}
@media print{:root{--pale:.33;--paper:#fff;--ink:#000;--soft:#444;--line:#bbb}}
svg text{font:12px system-ui,"Segoe UI",Roboto,"Noto Sans",sans-serif;fill:var(--ink)}
svg .soft{fill:var(--soft)}svg .head{font-weight:600}svg .end{text-anchor:end}svg .middle{text-anchor:middle}
svg .line{stroke:var(--line);stroke-width:1;fill:none}svg .curve{stroke-width:2;fill:none;stroke-linejoin:round}
svg .edge{stroke:var(--paper);stroke-width:1}svg .pale{fill-opacity:var(--pale)}
`

// SVG is a picture that is being drawn. Lengths are in its own pixels.
type SVG struct {
	width, height float64
	title, about  string
	body          strings.Builder
}

// New begins a picture. title and about say what it shows to those who do not see it.
func New(width, height float64, title, about string) *SVG {
	return &SVG{width: width, height: height, title: title, about: about}
}

// Inline is the picture as a part of a page that has Style. The page has no other picture with that id.
func (s *SVG) Inline(id string) string {
	return s.text(id, fmt.Sprintf(`<svg viewBox="0 0 %s %s"`, number(s.width), number(s.height)), "")
}

// File is the picture as a file of its own, with a margin.
func (s *SVG) File() string {
	const margin = 8
	width, height := number(s.width+2*margin), number(s.height+2*margin)
	start := fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%s" height="%s" viewBox="-%d -%d %s %s"`, width, height, margin, margin, width, height)
	paper := fmt.Sprintf(`<rect x="-%d" y="-%d" width="%s" height="%s" fill="var(--paper)"/>`, margin, margin, width, height)
	return s.text("picture", start, "<style>\n"+Style+"</style>\n"+paper+"\n")
}

func (s *SVG) text(id, start, before string) string {
	return fmt.Sprintf(`%s role="img" aria-labelledby="%s-title %s-about">`+"\n"+
		`<title id="%s-title">%s</title><desc id="%s-about">%s</desc>`+"\n%s%s</svg>\n",
		start, id, id, id, escape(s.title), id, escape(s.about), before, s.body.String())
}

// Rect draws a rectangle in a color from 0, of the palette; class is more of Style, or "".
func (s *SVG) Rect(x, y, width, height float64, color int, class string) {
	fmt.Fprintf(&s.body, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"%s/>`+"\n",
		number(x), number(y), number(width), number(height), fill(color), classOf(class))
}

// Text writes a text on a line at y; class is that of Style: end or middle say which part of it is at x, by default its
// beginning.
func (s *SVG) Text(x, y float64, class, text string) {
	fmt.Fprintf(&s.body, `<text x="%s" y="%s"%s>%s</text>`+"\n", number(x), number(y), classOf(class), escape(text))
}

// Line draws a thin line.
func (s *SVG) Line(x1, y1, x2, y2 float64) {
	fmt.Fprintf(&s.body, `<path class="line" d="M%s %sL%s %s"/>`+"\n", number(x1), number(y1), number(x2), number(y2))
}

// Curve draws a line in a color through points, of which there are as many x as y.
func (s *SVG) Curve(x, y []float64, color int) {
	s.body.WriteString(`<path class="curve" stroke="` + fill(color) + `" d="`)
	for i := range x {
		s.body.WriteString(string("ML"[min(i, 1)]) + number(x[i]) + " " + number(y[i]))
	}
	s.body.WriteString(`"/>` + "\n")
}

// Key is an entry of a legend.
type Key struct {
	Name   string
	Color  int
	Hollow bool // as of a Part
}

// Legend says what the colors mean, from y downward, and returns where it ends. Each entry has a line of its own.
func (s *SVG) Legend(x, y float64, keys []Key) float64 {
	for _, k := range keys {
		s.Rect(x, y+3, 12, 12, k.Color, hollow(k.Hollow))
		s.Text(x+18, y+13, "", k.Name)
		y += lineHeight
	}
	return y
}

// LegendHeight is the height of a legend.
func LegendHeight(keys []Key) float64 { return float64(len(keys) * lineHeight) }

const (
	lineHeight = 18
	// charWidth is about the width of a character in the widest of the common fonts, and boldWidth of a bold one.
	charWidth = 7.8
	boldWidth = 8.6
)

// fit is the text if it fits into a width, with characters of a width each, else its beginning, or nothing, if that would
// be too little to read.
func fit(text string, width, char float64) string {
	const least = 3 // characters
	used, cut := 0.0, 0
	for at, r := range text {
		n := char
		if r >= 0x1100 { // from the scripts of East Asia on they are square
			n = 2 * char
		}
		if used += n; used > width {
			if len([]rune(text[:cut])) < least {
				return ""
			}
			return text[:cut] + "…"
		}
		if used+char <= width {
			cut = at + utf8.RuneLen(r)
		}
	}
	return text
}

func hollow(is bool) string {
	if is {
		return "edge pale"
	}
	return "edge"
}

func fill(color int) string { return fmt.Sprintf("var(--c%d)", color%Colors) }

func classOf(class string) string {
	if class == "" {
		return ""
	}
	return ` class="` + class + `"`
}

// number has as many digits as can be seen.
func number(value float64) string {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		value = 0
	}
	return strconv.FormatFloat(math.Round(value*10)/10, 'f', -1, 64)
}

// escape makes text inert, in SVG and in HTML.
func escape(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a Builder has no error
	return b.String()
}
