package load

import (
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/poll"
)

// sampleRows is how many rows are looked for when a load has ended: the part of them that is gone differs by one or two
// percent from that of all rows.
const sampleRows = 4096

// firstRows is how many of the first rows are among the witnesses, and how many of the others.
const firstRows = 64

// A Sampled is a row that was stored.
type Sampled struct {
	key     []byte
	NKey    int
	Flags   uint32
	NValue  int
	Missing bool      // it was looked for and is no longer in the cache
	expires time.Time // the zero time: never
}

// Length is its length, as Lengths count it.
func (s *Sampled) Length() Length { return lengthOf(s.NKey, s.NValue, s.Flags != 0) }

// A Sample is rows of one load or more, each as likely as any other (Vitter's reservoirs, in
// the form of Li's algorithm L, which says how many rows to leave out until the next).
type Sample struct {
	rows   []*Sampled // nil: a row that was not stored
	seen   uint64     // how many rows were looked at
	next   uint64     // the number of the next one to be taken
	weight float64
	first  []*Sampled // the first rows that were stored

	Lengths Lengths // of all rows that were stored
}

// NewSample makes a sample without rows.
func NewSample() *Sample { return &Sample{weight: 1} }

// add looks at the rows of a finished batch.
func (s *Sample) add(b *batch.Batch) {
	s.Lengths.add(b)
	for i := 0; i < b.Len() && len(s.first) < firstRows; i++ {
		if b.Outcome(i) == batch.Stored {
			s.first = append(s.first, sampled(b, i))
		}
	}
	end := s.seen + uint64(b.Len())
	for ; s.next < end; s.advance() {
		i := int(s.next - s.seen)
		var row *Sampled
		if b.Outcome(i) == batch.Stored {
			row = sampled(b, i)
		}
		if len(s.rows) < sampleRows {
			s.rows = append(s.rows, row)
		} else {
			s.rows[rand.IntN(sampleRows)] = row
		}
	}
	s.seen = end
	if counts, err := b.Counts(); err == nil && counts[batch.Expired]+counts[batch.TooLarge]+counts[batch.NoMemory] > 0 {
		s.forget(b)
	}
}

// forget drops the rows whose keys a batch has taken out: they are missing for that reason.
func (s *Sample) forget(b *batch.Batch) {
	removed := make(map[string]bool)
	for i := range b.Len() {
		switch b.Outcome(i) {
		case batch.Expired, batch.TooLarge, batch.NoMemory:
			removed[string(b.Key(i))] = true
		}
	}
	s.first = slices.DeleteFunc(s.first, func(row *Sampled) bool { return removed[string(row.key)] })
	for i, row := range s.rows {
		if row != nil && removed[string(row.key)] {
			s.rows[i] = nil
		}
	}
}

func (s *Sample) advance() {
	s.next++
	if len(s.rows) < sampleRows {
		return
	}
	s.weight *= math.Pow(rand.Float64(), 1.0/sampleRows)
	if skip := math.Log(rand.Float64()) / math.Log1p(-s.weight); skip < 1<<60 {
		s.next += uint64(skip)
	} else {
		s.next = math.MaxUint64
	}
}

func sampled(b *batch.Batch, i int) *Sampled {
	r := b.Row(i)
	row := &Sampled{key: append([]byte(nil), b.Key(i)...), NKey: r.NKey, Flags: r.Flags, NValue: r.NValue}
	switch r.TTL {
	case 0:
	case batch.Past:
		row.expires = time.Now()
	default:
		row.expires = time.Now().Add(time.Duration(r.TTL) * time.Second)
	}
	return row
}

// Gone is what has become of rows that were stored.
type Gone struct {
	Looked  uint64    // rows that were looked for
	Missing uint64    // of them, those that are no longer in the cache
	All     bool      // they are all rows that were stored
	Rows    []Sampled // those that were looked for
}

// Look looks for the sample's rows in store. Rows that may have expired are left out; Gone is nil if there are no
// others.
func (s *Sample) Look(store batch.Store) (*Gone, error) {
	gone := Gone{All: s.seen <= sampleRows}
	var stored []*Sampled
	for _, row := range s.rows {
		if row != nil {
			stored = append(stored, row)
		}
	}
	gone.Rows = unexpired(stored)
	gone.All = gone.All && len(gone.Rows) == len(stored)
	var err error
	if gone.Looked, gone.Missing, err = lookFor(store, gone.Rows); err != nil || gone.Looked == 0 {
		return nil, err
	}
	return &gone, nil
}

// unexpired returns the rows that cannot have expired yet.
func unexpired(rows []*Sampled) (kept []Sampled) {
	soon := time.Now().Add(2 * time.Second) // memcached's clock ticks once a second
	for _, row := range rows {
		if row.expires.IsZero() || row.expires.After(soon) {
			kept = append(kept, *row)
		}
	}
	return kept
}

// lookFor looks for rows in store: looked is how many it looked for, missing how many of them are not there.
func lookFor(store batch.Store, rows []Sampled) (looked, missing uint64, err error) {
	if len(rows) == 0 {
		return 0, 0, nil
	}
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return 0, 0, os.NewSyscallError("eventfd", err)
	}
	defer unix.Close(done)
	b, err := batch.New(done)
	if err != nil {
		return 0, 0, err
	}
	defer b.Free()
	for _, row := range rows {
		at, err := b.Append(row.key)
		if err != nil {
			return 0, 0, err
		}
		b.Add(batch.Row{Key: at, NKey: row.NKey, Value: at})
	}
	sink, err := store.Open()
	if err != nil {
		return 0, 0, err
	}
	defer sink.Close()
	sink.Look(b)
	var count [8]byte
	if err := poll.Readable(done); err != nil {
		return 0, 0, err
	}
	if _, err := unix.Read(done, count[:]); err != nil {
		return 0, 0, os.NewSyscallError("read", err)
	}
	outcomes, err := b.Counts()
	for i := range rows {
		rows[i].Missing = b.Outcome(i) == batch.Missing
	}
	return outcomes.Sum(), outcomes[batch.Missing], err
}

// Witnesses are rows of an interrupted load, and of those that it resumed. While all of them are in the cache, it was
// not emptied: what takes out rows takes out the first ones, too, or many.
type Witnesses []*Sampled

// Witnesses are the first rows that were stored, and some others, and those of earlier loads. No two have the same key.
func (s *Sample) Witnesses(earlier Witnesses) Witnesses {
	var all Witnesses
	has := make(map[string]bool)
	add := func(row *Sampled) {
		if row != nil && !has[string(row.key)] {
			has[string(row.key)] = true
			all = append(all, row)
		}
	}
	for _, row := range slices.Concat(earlier, s.first) {
		add(row)
	}
	for _, i := range rand.Perm(len(s.rows)) {
		if len(all) >= len(earlier)+2*firstRows {
			break
		}
		add(s.rows[i])
	}
	if len(all) > 2*firstRows {
		others := all[firstRows:]
		rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		all = all[: 2*firstRows : 2*firstRows]
	}
	return all
}

// Missing looks for the witnesses in store: looked is how many it looked for, missing how many of them are not there.
// Witnesses that may have expired are left out.
func (w Witnesses) Missing(store batch.Store) (looked, missing uint64, err error) {
	return lookFor(store, unexpired(w))
}
