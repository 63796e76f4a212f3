package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
)

// An input is a file of rows. It is known by the same name however -rows and -scale make it.
type input struct {
	Rows      int
	Low, High int // bytes of a row
	Bytes     int64
	marks     bool // one letter of 256 is a mark that some formats escape or quote
	name      string
	path      string
}

// The names of inputs: the small rows that -rows says, other numbers of them, and large values.
const (
	twentieth = "a twentieth"
	half      = "a half"
	once      = "once"
	fiveTimes = "5 times"
	tenTimes  = "10 times"
	large     = "4 KB"
	larger    = "100 KB"
	marked    = "once, with marks"
)

// shape is what an input is before -scale. A load takes a second at least, so that the client's start does not count.
func shape(name string) *input {
	switch name {
	case twentieth:
		return &input{Rows: *rows / 20, Low: 20, High: 200}
	case half:
		return &input{Rows: *rows / 2, Low: 20, High: 200}
	case fiveTimes:
		return &input{Rows: 5 * *rows, Low: 20, High: 200}
	case tenTimes:
		return &input{Rows: 10 * *rows, Low: 20, High: 200}
	case large:
		return &input{Rows: 200_000, Low: 4 << 10, High: 4 << 10}
	case larger:
		return &input{Rows: 10_000, Low: 100 << 10, High: 100 << 10}
	case marked:
		return &input{Rows: *rows, Low: 20, High: 200, marks: true}
	}
	return &input{Rows: *rows, Low: 20, High: 200}
}

// input makes an input, once in a run, and notes its size in the section.
func (b *bench) input(s *section, name string) (*input, error) {
	in := b.inputs[name]
	if in == nil {
		in = shape(name)
		in.name, in.Rows, in.path = name, sized(in.Rows), b.own("rows of "+name)
		if err := in.write(); err != nil {
			return nil, fmt.Errorf("the rows of %s: %w", name, err)
		}
		b.inputs[name] = in
	}
	s.Inputs[name] = in
	return in, nil
}

// write makes the file: keys user_N, values of letters, the same in every run.
func (in *input) write() error {
	f, err := os.Create(in.path)
	if err != nil {
		return err
	}
	defer f.Close()
	random := rand.New(rand.NewPCG(1, 2))
	letters := make([]byte, in.High+1<<16)
	for i := range letters {
		letters[i] = byte('a' + random.IntN(26))
		if in.marks && random.IntN(256) == 0 {
			letters[i] = `\",`[random.IntN(3)]
		}
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for i := range in.Rows {
		key := "user_" + strconv.Itoa(i)
		n := max(1, in.Low+random.IntN(in.High-in.Low+1)-len(key)-1)
		from := random.IntN(1 << 16)
		w.WriteString(key)
		w.WriteByte('\t')
		w.Write(letters[from : from+n])
		w.WriteByte('\n')
		in.Bytes += int64(len(key) + n + 2)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	// Else the kernel writes it to the disk while the first loads are measured.
	return f.Sync()
}

// hashpower is what memcached's own measure, 1.5 items for each bucket, makes of so many.
func hashpower(items int) int {
	power := 16
	for 3<<power < 2*items {
		power++
	}
	return power
}

// presized are memcached's arguments for a hash table that need not grow for the input.
func (in *input) presized() []string {
	return []string{"-o", fmt.Sprintf("hashpower=%d", hashpower(in.Rows))}
}
