package slabs

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/stats"
)

// Usage is memcached's memory as its statistics show it.
type Usage struct {
	// Limit is -m in bytes, 0: there is none; ChunkMax the size of the largest item in one chunk, in bytes.
	Limit, ChunkMax uint64
	// Classes are those that have pages, the smallest chunks first; Items are the chunks that are used.
	Classes []Class
}

// NewUsage reads the statistics. The error is ErrUnknown, wrapped with the reason.
func NewUsage(a *stats.Answers) (*Usage, error) {
	var u Usage
	read := func(from map[string]string, name string, to *uint64) (err error) {
		if *to, err = strconv.ParseUint(from[name], 10, 63); err != nil {
			return fmt.Errorf("%w: it says that the %s is %s", ErrUnknown, name, clip.QuoteN(from[name], 20))
		}
		return nil
	}
	if err := cmp.Or(read(a.Settings, "maxbytes", &u.Limit), read(a.Settings, "slab_chunk_max", &u.ChunkMax)); err != nil {
		return nil, err
	}
	for id := 1; id <= classesMax; id++ {
		of := func(name string) string { return fmt.Sprintf("%d:%s", id, name) }
		if _, ok := a.Slabs[of("chunk_size")]; !ok {
			continue
		}
		c := Class{ID: id}
		if err := cmp.Or(read(a.Slabs, of("chunk_size"), &c.Size), read(a.Slabs, of("total_pages"), &c.Has),
			read(a.Slabs, of("used_chunks"), &c.Items), read(a.Slabs, of("free_chunks"), &c.Free)); err != nil {
			return nil, err
		}
		u.Classes = append(u.Classes, c)
	}
	slices.SortFunc(u.Classes, func(a, b Class) int { return cmp.Compare(a.Size, b.Size) })
	return &u, nil
}
