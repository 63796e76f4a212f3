package main

import (
	"fmt"
	"os"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/dump"
)

type reportCommand struct {
	File string `arg:"" name:"FILE" complete:"FILE" help:"The page to write (HTML), which appears when it is complete; - is standard output."`

	Delimiter delimiter   `group:"Page:" placeholder:"TEXT" default:":" help:"The delimiter between the parts of a key. Default: a colon."`
	Hot       hotDuration `group:"Page:" placeholder:"TIME" help:"Also look at memcached's requests for this time, and show the keys that have the most: seconds, or a duration such as 500ms or 2m."`

	selecting
	watching
	waiting
}

// Run writes the page and accounts for the items.
func (c *reportCommand) Run(line *commandLine) error {
	signals := interrupts()
	to, err := orInterrupted(signals, func() (*target, error) { return openTarget(c.File) })
	if err != nil {
		return err
	}
	var counts *door.Dump
	shown, err := newProgress(c.Progress, "item", false)
	r := &cacheReport{of: c, door: line.doorPath()}
	if err == nil {
		counts, err = r.walk(newCaller(line, signals, shown, c.Timeout))
	}
	if err == nil {
		if err = r.write(to.passed(), counts); err != nil {
			err = fileError(to.called(), err)
		}
	}
	to.sent()
	if _, err = to.finish(err); err != nil {
		return err
	}
	out := os.Stdout
	if to.standard {
		out = os.Stderr
	}
	if line.JSON {
		err = printJSONTo(out, r.document(counts))
	} else {
		_, err = fmt.Fprintf(out, "%s met: %d in the page, %d filtered, %d lost (%s of values, %s of memory, %.2f s, %s)\n",
			door.Count(counts.Items, "item"), r.items, counts.Filtered, counts.Lost, size(r.bytes), size(r.memory), counts.Seconds, counts.Engine)
	}
	if err != nil {
		return fileError(out.Name(), err)
	}
	return nil
}

// cacheReport is what a page shows, of one walk. Its size does not depend on the number of items, and on that of prefixes
// only up to prefixesMax.
type cacheReport struct {
	of     *reportCommand
	door   string
	status *door.Status
	now    time.Time

	items, bytes, memory uint64

	hot       *door.HotKeys // nil: not asked for
	slabs     *slabUse
	prefixes  *prefixes // of one part
	inner     *prefixes // of two parts
	ttl, idle histogram
	largest   ranking
}

// largestShown is how many of the largest items are in the page.
const largestShown = 20

// walk looks at the requests if that is asked for, asks for the slab classes, and walks through the items.
func (r *cacheReport) walk(call caller) (*door.Dump, error) {
	var err error
	if r.of.Hot > 0 {
		if r.hot, err = r.askHot(call); err != nil {
			return nil, err
		}
	}
	if r.status, err = call.askStatus(door.Request{Slabs: true}); err != nil {
		return nil, err
	}
	r.begin()
	d := dumping{caller: call, request: dumpRequest(dump.Details, r.of.filter())}
	d.request.KeysOnly = true
	counts, err := d.list(r.add)
	r.largest.cut()
	return counts, err
}

// begin begins the sums, with the slab classes of the status.
func (r *cacheReport) begin() {
	r.now = time.Now()
	r.slabs = newSlabUse(r.status.Slabs)
	r.prefixes, r.inner = newPrefixes("memory"), newPrefixes("memory")
	r.largest = ranking{by: "size", limit: largestShown, now: r.now.Unix()}
}

func (r *cacheReport) add(i *dump.Listed) {
	now, memory := r.now.Unix(), r.slabs.add(i)
	r.items++
	r.bytes += i.Size
	r.memory += memory
	r.prefixes.add(prefixOf(i.Key, r.of.Delimiter, 1), i, now, memory)
	r.inner.add(prefixOf(i.Key, r.of.Delimiter, 2), i, now, memory)
	r.ttl.addTTL(i, now, memory)
	r.idle.add(left(now, i.Used), bin{1, i.Size, memory})
	r.largest.add(i)
}

// reportDocument is what --json prints: what became of the items that were met.
type reportDocument struct {
	Items        uint64      `json:"items"` // that were met
	Shown        uint64      `json:"shown"` // in the page
	Filtered     uint64      `json:"filtered"`
	Lost         uint64      `json:"lost"`
	Bytes        uint64      `json:"bytes"`  // of the values
	Memory       uint64      `json:"memory"` // bytes
	Seconds      float64     `json:"seconds"`
	Engine       door.Engine `json:"engine"`
	EngineReason string      `json:"engine_reason,omitempty"`
}

func (r *cacheReport) document(counts *door.Dump) reportDocument {
	return reportDocument{
		Items: counts.Items, Shown: r.items, Filtered: counts.Filtered, Lost: counts.Lost, Bytes: r.bytes, Memory: r.memory,
		Seconds: counts.Seconds, Engine: counts.Engine, EngineReason: counts.EngineReason,
	}
}
