package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"os"
	"strings"

	"memcached-backdoor/client/picture"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/version"
)

//go:embed report.tmpl
var reportText string

var reportTemplate = template.Must(template.New("").Parse(reportText))

// reportPage is what the template shows. The template escapes all texts; the pictures have escaped theirs.
type reportPage struct {
	Title, When string
	Style       template.CSS
	Facts       []fact
	Notes       []string
	Sections    []reportSection
	Version     string
}

type fact struct{ Name, Value string }

// reportSection is a picture with what it shows in words and figures.
type reportSection struct {
	ID, Title string
	Text      []string
	Pictures  []reportPicture
	Table     reportTable
	Open      bool // there is no picture: the table is the section
}

// reportPicture is a picture, and the screens that it is for: "wide", "narrow" or, "", all.
type reportPicture struct {
	Screen string
	SVG    template.HTML
}

// reportTable has a name in the first column, and figures in the others.
type reportTable struct {
	Head []string
	Rows []reportRow
}

type reportRow struct {
	Inner   bool // a part of the row above
	Name    string
	Figures []string
}

// write writes the page.
func (r *cacheReport) write(to io.Writer, counts *door.Dump) error {
	host, err := os.Hostname()
	if err != nil {
		host = "an unnamed host"
	}
	page := reportPage{
		Title: "The memcached on " + host,
		When:  r.now.Format("2 January 2006, 15:04:05 MST"),
		Style: template.CSS(picture.Style), Version: version.String(),
		Facts:    r.facts(counts),
		Notes:    r.notes(counts),
		Sections: r.sections(),
	}
	var out bytes.Buffer
	if err := reportTemplate.Execute(&out, page); err != nil {
		return err
	}
	_, err = to.Write(out.Bytes())
	return err
}

// sections are the pictures, in their order in the page.
func (r *cacheReport) sections() []reportSection {
	if r.items == 0 {
		return append([]reportSection{{ID: "prefixes", Title: prefixTitle, Text: []string{"There are no items."}}}, r.hotSections()...)
	}
	return append([]reportSection{r.prefixSection(), r.ttlSection(), r.slabSection(), r.idleSection(), r.largestSection()}, r.hotSections()...)
}

func (r *cacheReport) facts(counts *door.Dump) []fact {
	memory := size(r.memory)
	if limit := r.slabs.Limit; limit > 0 {
		memory += " of " + size(limit)
	}
	memcached := r.status.Memcached
	if memcached == "" {
		memcached = "of unknown version"
	}
	return []fact{
		{"Items", fmt.Sprint(r.items)}, {"Values", size(r.bytes)}, {"Memory", memory},
		{"Never expire", percent(r.ttl.never.keys, r.items)},
		{"memcached", memcached}, {"Process", fmt.Sprint(r.status.PID)}, {"Door", r.door},
		{"Read", fmt.Sprintf("%s, in %.2f s", counts.Engine, counts.Seconds)},
	}
}

// notes say what a reader must know of the figures.
func (r *cacheReport) notes(counts *door.Dump) (notes []string) {
	note := func(format string, args ...any) { notes = append(notes, fmt.Sprintf(format, args...)) }
	if only := conditionsOf(r.of.filter()); len(only) > 0 {
		note("Only items %s.", strings.Join(only, ", "))
	}
	if n := counts.Lost; n > 0 {
		note("%s could not be read.", door.Count(n, "item"))
	}
	if counts.EngineReason != "" {
		note("The items were not read natively: %s.", counts.EngineReason)
	}
	if r.slabs.Unknown != "" {
		note("Memory is that of the items alone, without what their chunks have more: %s.", r.slabs.Unknown)
	}
	if none := r.prefixes.groups[""]; none != nil && none.keys >= r.items/2 {
		note("%d of %s have no %q in them: --delimiter sets what separates the parts of a key.", none.keys, door.Count(r.items, "key"), string(r.of.Delimiter))
	}
	return notes
}

// barWidth is the width of a picture of bars: that of a phone.
const barWidth = 360

// bars is a section with one picture of bars.
func (s *reportSection) bars(about string, b picture.Bars) {
	b.Title, b.About, b.Width = s.Title, about, barWidth
	s.Pictures = []reportPicture{{"", template.HTML(b.SVG().Inline(s.ID))}}
}

// ttlSection answers when the cache empties.
func (r *cacheReport) ttlSection() reportSection {
	s := reportSection{ID: "ttl", Title: "When does this cache empty?", Table: reportTable{Head: []string{"Time to live", "Items", "Values", "Memory", "Left then"}}}
	all := r.ttl.all()
	s.Text = []string{r.empties()}
	b := picture.Bars{}
	add := func(name string, of, left bin, color int) {
		b.Rows = append(b.Rows, picture.Row{
			Label: name, Parts: []picture.Part{{Value: float64(of.memory), Color: color}}, Number: size(of.memory),
			Tip: fmt.Sprintf("%s: %s, %s of memory; then %s is left", name, door.Count(of.keys, "item"), size(of.memory), percent(left.memory, all.memory)),
		})
		s.Table.Rows = append(s.Table.Rows, reportRow{Name: name, Figures: []string{
			fmt.Sprint(of.keys), size(of.bytes), size(of.memory), percent(left.memory, all.memory)}})
	}
	for _, bin := range r.ttl.shown() {
		add(bin.name(), bin.bin, bin.left, 0)
	}
	if r.ttl.never.keys > 0 {
		add("never", r.ttl.never, r.ttl.never, 6)
	}
	s.bars("Bars: the memory of the items by their times to live. "+s.Text[0], b)
	return s
}

// empties says when the cache would be empty if nothing were stored or touched any more.
func (r *cacheReport) empties() string {
	all := r.ttl.all()
	text := ""
	if half := r.ttl.within(0.5); half > 0 {
		text = fmt.Sprintf("Half of its memory expires within %s", span(half))
		if most := r.ttl.within(0.9); most > 0 {
			text += fmt.Sprintf(", nine tenths within %s", span(most))
		}
		text += ". "
	}
	if r.ttl.never.keys == 0 {
		return text + "Nothing lives for ever."
	}
	return text + fmt.Sprintf("%s of it lives for ever: %d of %s.", percent(r.ttl.never.memory, all.memory), r.ttl.never.keys, door.Count(all.keys, "item"))
}

// idleSection shows when items were used last.
func (r *cacheReport) idleSection() reportSection {
	s := reportSection{ID: "idle", Title: "When were they last used?", Table: reportTable{Head: []string{"Idle", "Items", "Values", "Memory", "Idle for longer"}}}
	all := r.idle.all()
	s.Text = []string{"Stored, or read as far as memcached notes that: by default the second read, and few later ones. Some items with long idle times are read often."}
	b := picture.Bars{}
	for _, bin := range r.idle.shown() {
		b.Rows = append(b.Rows, picture.Row{
			Label: bin.name(), Parts: []picture.Part{{Value: float64(bin.memory), Color: 2}}, Number: size(bin.memory),
			Tip: fmt.Sprintf("%s: %s, %s of memory", bin.name(), door.Count(bin.keys, "item"), size(bin.memory)),
		})
		s.Table.Rows = append(s.Table.Rows, reportRow{Name: bin.name(), Figures: []string{
			fmt.Sprint(bin.keys), size(bin.bytes), size(bin.memory), percent(bin.left.memory, all.memory)}})
	}
	s.bars("Bars: the memory of the items by the time since they were stored or read.", b)
	return s
}

// slabSection shows how well the items fit into memcached's chunks.
func (r *cacheReport) slabSection() reportSection {
	s := reportSection{ID: "slabs", Title: "Do items fit their chunks?", Table: reportTable{Head: []string{"Chunk", "Items", "Data", "Waste", "Other", "Free"}}}
	if r.slabs.Unknown != "" {
		s.Text = []string{"Not known: " + r.slabs.Unknown + "."}
		return s
	}
	b := picture.Bars{Legend: []picture.Key{
		{Name: "data: keys, values, headers"}, {Name: "waste: the unused ends of chunks", Color: 1},
		{Name: "other: expired, or not in this report", Color: 3}, {Name: "free chunks", Color: 6, Hollow: true},
	}}
	var sum classUse
	for _, c := range r.slabs.classes() {
		name := size(c.chunk)
		b.Rows = append(b.Rows, picture.Row{
			Label: name, Number: percent(c.waste, c.data+c.waste),
			Parts: []picture.Part{{Value: float64(c.data)}, {Value: float64(c.waste), Color: 1}, {Value: float64(c.other), Color: 3}, {Value: float64(c.free), Color: 6, Hollow: true}},
			Tip:   fmt.Sprintf("Chunks of %s: %s, %s of data, %s wasted, %s other, %s free", name, door.Count(c.items, "item"), size(c.data), size(c.waste), size(c.other), size(c.free)),
		})
		s.Table.Rows = append(s.Table.Rows, c.row(name))
		sum.add(&c)
	}
	s.Table.Rows = append(s.Table.Rows, sum.row("All"))
	text := fmt.Sprintf("An item takes a whole chunk of the class of its size. Of the memory of these items %s (%s) is wasted that way, in %d classes; the figures are the waste of each.",
		percent(sum.waste, sum.data+sum.waste), size(sum.waste), len(b.Rows))
	if n := r.slabs.unknown; n > 0 {
		text += fmt.Sprintf(" %s came into classes that were new, and are left out.", door.Count(n, "item"))
	}
	s.Text = []string{text}
	s.bars("Bars: the memory of each slab class, in pages of 1 MB, and what it is used for.", b)
	return s
}

func (c *classUse) row(name string) reportRow {
	return reportRow{Name: name, Figures: []string{fmt.Sprint(c.items), size(c.data), size(c.waste), size(c.other), size(c.free)}}
}

func (c *classUse) add(o *classUse) {
	c.items += o.items
	c.data += o.data
	c.waste += o.waste
	c.other += o.other
	c.free += o.free
}

// largestSection lists the largest items.
func (r *cacheReport) largestSection() reportSection {
	s := reportSection{ID: "largest", Title: "The largest items", Open: true, Table: reportTable{Head: []string{"Key", "Value", "TTL", "Idle"}}}
	for _, i := range r.largest.first {
		ttl := "never"
		if i.Expires != 0 {
			ttl = span(left(i.Expires, r.largest.now))
		}
		s.Table.Rows = append(s.Table.Rows, reportRow{Name: shownKey(i.Key), Figures: []string{size(i.Size), ttl, span(left(r.largest.now, i.Used))}})
	}
	return s
}
