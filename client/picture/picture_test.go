package picture

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// The example of the paper: areas 6, 6, 4, 3, 2, 2 and 1 in a rectangle of 6 by 4 (section 3.2, figure 4).
func TestSquarifyPaper(t *testing.T) {
	got := squarify([]float64{6, 6, 4, 3, 2, 2, 1}, rect{0, 0, 6, 4})
	want := []rect{
		{0, 0, 3, 2}, {0, 2, 3, 2}, {3, 0, 12. / 7, 7. / 3}, {3 + 12./7, 0, 9. / 7, 7. / 3},
		{3, 7. / 3, 6. / 5, 5. / 3}, {4.2, 7. / 3, 1.2, 5. / 3}, {5.4, 7. / 3, 0.6, 5. / 3},
	}
	for i := range want {
		if got[i].String() != want[i].String() {
			t.Errorf("%d: %v, want %v", i, got[i], want[i])
		}
	}
}

// Whatever the areas are, the rectangles have them, are within the whole and do not overlap.
func TestSquarify(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		areas := make([]float64, 1+random.IntN(60))
		sum := 0.0
		for i := range areas {
			areas[i] = math.Exp(random.Float64() * 12)
			sum += areas[i]
		}
		slices.SortFunc(areas, func(a, b float64) int { return int(math.Copysign(1, b-a)) })
		in := rect{5, 7, 1 + random.Float64()*900, 1 + random.Float64()*900}
		scale := in.w * in.h / sum
		all := squarify(areas, in)
		const near = 1e-6
		for i, r := range all {
			if got := r.w * r.h; math.Abs(got-areas[i]*scale) > near*in.w*in.h {
				t.Fatalf("%v has %g, want %g", r, got, areas[i]*scale)
			}
			if r.x < in.x-near || r.y < in.y-near || r.x+r.w > in.x+in.w+near || r.y+r.h > in.y+in.h+near {
				t.Fatalf("%v is outside of %v", r, in)
			}
			for _, o := range all[:i] {
				if min(r.x+r.w, o.x+o.w)-max(r.x, o.x) > near && min(r.y+r.h, o.y+o.h)-max(r.y, o.y) > near {
					t.Fatalf("%v and %v overlap", r, o)
				}
			}
		}
	}
	if got := squarify([]float64{0, 0}, rect{0, 0, 1, 1}); len(got) != 0 {
		t.Errorf("%v", got)
	}
}

// A text that does not fit ends with an ellipsis, between two characters.
func TestFit(t *testing.T) {
	for _, tt := range []struct {
		text  string
		chars float64
		want  string
	}{
		{"user:", 5, "user:"}, {"user:1", 5, "user…"}, {"user", 3, ""}, {"user:1234", 4, "use…"}, {"", 0, ""}, {"ключ:1", 5, "ключ…"}, {"日本語日本語", 8, "日本語…"},
	} {
		if got := fit(tt.text, tt.chars*charWidth, charWidth); got != tt.want || !utf8.ValidString(got) {
			t.Errorf("%q in %g: %q, want %q", tt.text, tt.chars, got, tt.want)
		}
	}
}

// hostile is what a key can be.
const hostile = "</text></svg><script>alert(1)</script>\x00\xff\"'&]]>"

// Pictures are XML, whatever they show: what is hostile is text.
func TestPicturesAreXML(t *testing.T) {
	bars := Bars{Title: hostile, About: hostile, Width: 360, Legend: []Key{{Name: hostile, Color: 1, Hollow: true}}, Rows: []Row{
		{Heading: true, Label: hostile}, {Label: hostile, Parts: []Part{{Value: math.NaN()}, {Value: 3}}, Number: hostile, Tip: hostile}, {Label: "none", Number: hostile},
	}}
	cell := Cell{Label: hostile, Note: hostile, Tip: hostile, Area: 5}
	outer := cell
	outer.Cells = []Cell{cell}
	for name, s := range map[string]*SVG{"bars": bars.SVG(), "treemap": Treemap(hostile, hostile, 900, 500, []Cell{outer, cell}), "none": Treemap("", "", 9, 9, nil)} {
		elements := 0
		d := xml.NewDecoder(strings.NewReader(s.File()))
		for {
			token, err := d.Token()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if e, ok := token.(xml.StartElement); ok {
				elements++
				if !slices.Contains([]string{"svg", "title", "desc", "style", "rect", "g", "text", "path"}, e.Name.Local) {
					t.Errorf("%s: <%s>", name, e.Name.Local)
				}
			}
		}
		if elements < 5 {
			t.Errorf("%s: %d elements", name, elements)
		}
		if in := s.Inline("x"); strings.Contains(in, "<style>") || strings.Contains(in, "http") {
			t.Errorf("%s: %s", name, in)
		}
	}
}

// Texts can be read on what is behind them, on light and dark screens (WCAG 2.2, 1.4.3: a contrast of 4.5), and bars can be seen
// on the paper (1.4.11: of 3, or as near as a palette for all eyes comes to it).
func TestContrast(t *testing.T) {
	color := regexp.MustCompile(`--(\w+):#([0-9a-f]{3,6})\b`)
	parts := strings.Split(Style, "@media")
	read := func(into map[string][3]float64, css string) map[string][3]float64 {
		into = maps.Clone(into)
		for _, m := range color.FindAllStringSubmatch(css, -1) {
			hex := m[2]
			if len(hex) == 3 {
				hex = string([]byte{hex[0], hex[0], hex[1], hex[1], hex[2], hex[2]})
			}
			n, err := strconv.ParseUint(hex, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			into[m[1]] = [3]float64{float64(n >> 16), float64(n >> 8 & 255), float64(n & 255)}
		}
		return into
	}
	light := read(map[string][3]float64{}, parts[0])
	pale := map[string]float64{"light": 0.33, "dark": 0.22, "print": 0.33}
	for n, scheme := range []string{"light", "dark", "print"} {
		if want := fmt.Sprintf("--pale:%.2f;", pale[scheme]); !strings.Contains(parts[n], strings.Replace(want, "0.", ".", 1)) {
			t.Errorf("%s: %s", scheme, parts[n])
		}
	}
	for scheme, colors := range map[string]map[string][3]float64{"light": light, "dark": read(light, parts[1]), "print": read(light, parts[2])} {
		if len(colors) != Colors+4 {
			t.Fatalf("%s: %v", scheme, colors)
		}
		paper := colors["paper"]
		for _, text := range []string{"ink", "soft"} {
			if c := contrast(colors[text], paper); c < 4.5 {
				t.Errorf("%s: %s has a contrast of %.1f", scheme, text, c)
			}
		}
		for n := range Colors {
			of := colors[fmt.Sprintf("c%d", n)]
			behind := paper
			for range 2 { // a cell in a cell
				for i := range behind {
					behind[i] += (of[i] - behind[i]) * pale[scheme]
				}
				if c := contrast(colors["ink"], behind); c < 4.5 {
					t.Errorf("%s: a text on color %d has a contrast of %.1f", scheme, n, c)
				}
			}
			if c := contrast(of, paper); c < 2 {
				t.Errorf("%s: color %d has a contrast of %.1f", scheme, n, c)
			}
		}
	}
}

// contrast is that of two colors (WCAG 2.2: contrast ratio).
func contrast(a, b [3]float64) float64 {
	luminance := func(c [3]float64) (sum float64) {
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			v := c[i] / 255
			if v <= 0.04045 {
				v /= 12.92
			} else {
				v = math.Pow((v+0.055)/1.055, 2.4)
			}
			sum += weight * v
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
