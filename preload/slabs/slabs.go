// Package slabs estimates how much of memcached's memory (-m) items take: memcached divides
// its memory into pages, which it gives to slab classes. An item takes a whole chunk of the class of its
// size.
package slabs

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/stats"
)

const (
	// header is the size of an item's header, and of that of a chunk of a large item (memcached.h: sizeof(item),
	// sizeof(item_chunk)).
	header = 48
	// ItemOverhead is what an item takes besides its key and its value, in bytes: header, CAS unique, the byte
	// behind the key, and "\r\n" (memcached.h: struct _stritem, from 1.6.10 on).
	ItemOverhead = header + 8 + 1 + 2

	align      = 8       // CHUNK_ALIGN_BYTES (slabs.c)
	pageSize   = 1 << 20 // settings.slab_page_size, which has no option
	classesMax = 63      // MAX_NUMBER_OF_SLAB_CLASSES - 1 (memcached.h)
)

// ErrUnknown says that the slab classes are not known.
var ErrUnknown = errors.New("memcached's slab classes are not known")

// Memory is memcached's memory as it was when memcached was asked, with items added.
type Memory struct {
	Classes []Class
	// Limit is -m in bytes, 0: there is none; Free is how many bytes of it belong to no class.
	Limit, Free uint64
}

// A Class is a slab class.
type Class struct {
	ID    int
	Size  uint64 // bytes of a chunk
	Has   uint64 // pages that it has
	Free  uint64 // chunks of these that are free
	Items uint64 // chunks for the items that were added
}

// perPage is how many chunks a page has.
func (c *Class) perPage() uint64 { return pageSize / c.Size }

// Pages is how many more pages the class needs for the items that were added.
func (c *Class) Pages() uint64 {
	if c.Items <= c.Free {
		return 0
	}
	return (c.Items - c.Free + c.perPage() - 1) / c.perPage()
}

// New computes the classes as memcached does (slabs.c: slabs_init), and compares them with
// those of its statistics. The error is ErrUnknown, wrapped with the reason.
func New(a *stats.Answers) (*Memory, error) {
	factor, err := strconv.ParseFloat(a.Settings["growth_factor"], 64)
	if err != nil || factor <= 1 {
		return nil, fmt.Errorf("%w: it says that the growth factor is %s", ErrUnknown, clip.Quote(a.Settings["growth_factor"]))
	}
	var number [5]uint64
	for i, of := range []struct {
		from map[string]string
		name string
	}{
		{a.Settings, "chunk_size"}, {a.Settings, "slab_chunk_max"}, {a.Settings, "maxbytes"},
		{a.Slabs, "total_malloced"}, {a.General, "slab_global_page_pool"},
	} {
		if number[i], err = strconv.ParseUint(of.from[of.name], 10, 63); err != nil && i < 4 {
			return nil, fmt.Errorf("%w: it says that the %s is %s", ErrUnknown, of.name, clip.Quote(of.from[of.name]))
		}
	}
	chunk, largest, limit, malloced, pool := number[0], number[1], number[2], number[3], number[4]
	if largest < header || largest > pageSize || chunk == 0 || chunk > largest {
		return nil, fmt.Errorf("%w: it says that its chunks have from %d to %d bytes", ErrUnknown, chunk, largest)
	}
	m := &Memory{Limit: limit, Free: pool * pageSize}
	if limit > malloced {
		m.Free += (limit - malloced) / pageSize * pageSize
	}
	for size := header + chunk; len(m.Classes) < classesMax-1 && float64(size) < float64(largest)/factor; {
		size = (size + align - 1) / align * align
		m.Classes = append(m.Classes, Class{ID: len(m.Classes) + 1, Size: size})
		size = uint64(float64(size) * factor)
	}
	m.Classes = append(m.Classes, Class{ID: len(m.Classes) + 1, Size: largest})
	return m, m.compare(a.Slabs)
}

// compare compares the classes in use with those that memcached shows, and takes over how many chunks these have free.
func (m *Memory) compare(shown map[string]string) error {
	for id := 1; id <= classesMax; id++ {
		size, ok := shown[fmt.Sprintf("%d:chunk_size", id)]
		if !ok {
			continue
		}
		if id > len(m.Classes) || size != fmt.Sprint(m.Classes[id-1].Size) {
			return fmt.Errorf("%w: class %d has chunks of %.20s bytes (-o slab_sizes, or a growth factor of many digits)", ErrUnknown, id, size)
		}
		c := &m.Classes[id-1]
		var err error
		if c.Free, err = strconv.ParseUint(shown[fmt.Sprintf("%d:free_chunks", id)], 10, 63); err != nil {
			return fmt.Errorf("%w: it does not say how many chunks of class %d are free", ErrUnknown, id)
		}
		if c.Has, err = strconv.ParseUint(shown[fmt.Sprintf("%d:total_pages", id)], 10, 63); err != nil {
			return fmt.Errorf("%w: it does not say how many pages class %d has", ErrUnknown, id)
		}
	}
	return nil
}

// Add adds n items of size bytes; without value they would have head bytes. A large item is a header with the key, chunks
// of the largest class, and one chunk for the rest of the value (items.c: do_item_alloc, do_item_alloc_chunk).
func (m *Memory) Add(size, head, n uint64) {
	last := &m.Classes[len(m.Classes)-1]
	if size <= last.Size {
		m.classOf(size).Items += n
		return
	}
	const lineEnd = 2 // is a part of head here, and of the value there
	value, whole := size-head+lineEnd, last.Size-header
	m.classOf(head - lineEnd + header).Items += n
	last.Items += value / whole * n
	if rest := value % whole; rest > 0 {
		m.classOf(rest + header).Items += n
	}
}

// classOf is the class of chunks of size bytes, which the largest one has room for.
func (m *Memory) classOf(size uint64) *Class {
	i, _ := slices.BinarySearchFunc(m.Classes, size, func(c Class, size uint64) int {
		if c.Size < size {
			return -1
		}
		return 1
	})
	return &m.Classes[min(i, len(m.Classes)-1)]
}

// Empty is a memory of the same classes without pages and items.
func (m *Memory) Empty() *Memory {
	empty := &Memory{Classes: slices.Clone(m.Classes)}
	for i := range empty.Classes {
		c := &empty.Classes[i]
		c.Has, c.Free, c.Items = 0, 0, 0
	}
	return empty
}

// Release takes off the chunks that the added items have already: it is as if the classes had room for these. looked has
// some of the items, or all, and there those of them that are in the cache. Of a sample it takes the most that is
// likely (three standard deviations): else the sample's error would seem to be items of others. If none is there, as
// before a first load, it takes none.
func (m *Memory) Release(looked, there *Memory, all bool) {
	if there.items() == 0 {
		return
	}
	for i := range m.Classes {
		c := &m.Classes[i]
		part := 1.0
		if n := float64(looked.Classes[i].Items); n > 0 {
			part = float64(there.Classes[i].Items) / n
			if !all {
				p := (part*n + 1) / (n + 2) // is neither 0 nor 1
				part = min(part+3*math.Sqrt(p*(1-p)/n), 1)
			}
		}
		used := c.Has*c.perPage() - min(c.Free, c.Has*c.perPage())
		c.Items -= min(uint64(math.Ceil(float64(c.Items)*part)), used)
	}
}

// items is how many chunks the added items take.
func (m *Memory) items() (n uint64) {
	for i := range m.Classes {
		n += m.Classes[i].Items
	}
	return n
}

// Needed is how many bytes of pages the classes need for the items, besides those that they have.
func (m *Memory) Needed() uint64 {
	var pages uint64
	for i := range m.Classes {
		pages += m.Classes[i].Pages()
	}
	return pages * pageSize
}

// Fits reports whether the items have room and none has to be evicted.
func (m *Memory) Fits() bool { return m.Limit == 0 || m.Needed() <= m.Free }

// Megabytes is the smallest -m with which they fit, and all that the classes have.
func (m *Memory) Megabytes() uint64 {
	var pages uint64
	for i := range m.Classes {
		pages += m.Classes[i].Has + m.Classes[i].Pages()
	}
	return pages * pageSize >> 20
}

// Trial is a store that stores nothing.
type Trial struct{ batch.Store }

// Open begins a load.
func (t Trial) Open() (batch.Sink, error) { return t, nil }

// Submit settles the rows as a store with room for all of them would.
func (t Trial) Submit(b *batch.Batch) {
	for i := range b.Len() {
		row := b.Row(i)
		size := t.ItemSize(row.NKey, row.Flags, min(row.NValue, int(t.ItemSizeMax())))
		if row.Command == batch.Expire {
			b.Settle(i, batch.Expired)
			continue
		}
		if row.NValue == batch.Oversize || size > t.ItemSizeMax() {
			b.Settle(i, batch.TooLarge)
			continue
		}
		b.Settle(i, batch.Stored)
	}
	b.Finish(nil)
}

// Look finds nothing.
func (t Trial) Look(b *batch.Batch) {
	for i := range b.Len() {
		b.Settle(i, batch.Missing)
	}
	b.Finish(nil)
}

// Close ends a load.
func (Trial) Close() {}
