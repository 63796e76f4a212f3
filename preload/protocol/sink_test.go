package protocol

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/meta"
)

// batchOf makes a batch of rows key<TAB>value, with the options' command, flags and time to live; a value "-" is one that is too large to be there.
func batchOf(t testing.TB, options batch.Row, rows ...string) *batch.Batch {
	t.Helper()
	done, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	b, err := batch.New(done)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.Free()
		unix.Close(done)
	})
	at := 0
	for _, row := range rows {
		key, value, _ := strings.Cut(row, "\t")
		copy(b.Data()[at:], key+value)
		options.Key, options.NKey, options.Value, options.NValue = at, len(key), at+len(key), len(value)
		if value == "-" {
			options.NValue = batch.Oversize
		}
		b.Add(options)
		at += len(key) + len(value)
	}
	return b
}

// play plays memcached's end of a connection: it has read what it must read before it answers, in as many turns as there
// are, which "|" separates. Then it sends no more, and waits for the other end's close; what comes before that is an error.
func play(t testing.TB, fd int, want, answers string) {
	room := make([]byte, 4096)
	turns := strings.Split(answers, "|")
	for turn, want := range strings.Split(want, "|") {
		var got []byte
		for len(got) < len(want) {
			n, err := unix.Read(fd, room)
			if n <= 0 || err != nil {
				break
			}
			got = append(got, room[:n]...)
		}
		if string(got) != want {
			t.Errorf("memcached got %q, want %q", got, want)
		}
		_, _ = unix.Write(fd, []byte(turns[turn]))
	}
	_ = unix.Shutdown(fd, unix.SHUT_WR)
	if n, _ := unix.Read(fd, room); n > 0 {
		t.Errorf("memcached got %q when it was to get no more", room[:n])
	}
}

// peer is a connection whose other end a test plays.
func peer(t testing.TB, want, answers string) *conn {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetNonblock(fds[0], true); err != nil {
		t.Fatal(err)
	}
	c := &conn{limit: AnswerLimit, fd: fds[0], itemSizeMax: 1 << 20, chunkMax: 1 << 10}
	ended := make(chan struct{})
	t.Cleanup(func() {
		c.close()
		<-ended
	})
	go func() {
		defer close(ended)
		defer unix.Close(fds[1])
		play(t, fds[1], want, answers)
	}()
	return c
}

func TestExchange(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("v", 1000) // with its overhead more than a chunk
	for _, tt := range []struct {
		name    string
		options batch.Row
		rows    []string
		sent    string
		answers string
		want    []batch.Outcome
		err     string
	}{
		{
			name: "all stored", options: batch.Row{Command: batch.Set}, rows: []string{"a\t1", "b\t"},
			sent: "ms a 1 q\r\n1\r\nms b 0 q\r\n\r\nmn\r\n", answers: "MN\r\n", want: []batch.Outcome{batch.Stored, batch.Stored},
		},
		{
			name: "flags and a time to live", options: batch.Row{Command: batch.Set, Flags: 7, TTL: 60}, rows: []string{"a\t1"},
			sent: "ms a 1 F7 T60 q\r\n1\r\nmn\r\n", answers: "MN\r\n", want: []batch.Outcome{batch.Stored},
		},
		{
			name: "no room for one", options: batch.Row{Command: batch.Set}, rows: []string{"a\t1", "b\t2"},
			sent:    "ms a 1 q\r\n1\r\nms b 1 q\r\n2\r\nmn\r\n|ms a 1\r\n1\r\nms b 1\r\n2\r\nmn\r\n",
			answers: "SERVER_ERROR out of memory storing object\r\nMN\r\n|HD\r\nSERVER_ERROR out of memory storing object\r\nMN\r\n",
			want:    []batch.Outcome{batch.Stored, batch.NoMemory},
		},
		{
			name: "no memory for a chunk", options: batch.Row{Command: batch.Set},
			rows:    []string{"a\t" + long, "b\t" + long, "b\t2", "c\t" + long},
			sent:    "ms a 1000\r\n" + long + "\r\nms b 1000\r\n" + long + "\r\nms b 1\r\n2\r\nms c 1000\r\n" + long + "\r\nmn\r\n|md a\r\nmn\r\n",
			answers: string(noChunk) + "\r\n" + string(noChunk) + "\r\nHD\r\nHD\r\nMN\r\n|NF\r\nMN\r\n",
			want:    []batch.Outcome{batch.NoMemory, batch.NoMemory, batch.Stored, batch.Stored},
		},
		{
			name: "too large", options: batch.Row{Command: batch.Set}, rows: []string{"a\t-", "b\t2", "c\t-"},
			sent: "md a\r\nms b 1\r\n2\r\nmd c\r\nmn\r\n", answers: "NF\r\nHD\r\nHD\r\nMN\r\n",
			want: []batch.Outcome{batch.TooLarge, batch.Stored, batch.TooLarge},
		},
		{
			name: "expired", options: batch.Row{Command: batch.Expire}, rows: []string{"a\t-", "b\t-"},
			sent: "md a\r\nmd b\r\nmn\r\n", answers: "NF\r\nHD\r\nMN\r\n", want: []batch.Outcome{batch.Expired, batch.Expired},
		},
		{
			name: "memcached finds it too large", options: batch.Row{Command: batch.Add}, rows: []string{"a\t1", "b\t2"},
			sent: "ms a 1 ME\r\n1\r\nms b 1 ME\r\n2\r\nmn\r\n", answers: "SERVER_ERROR object too large for cache\r\nHD\r\nMN\r\n",
			want: []batch.Outcome{batch.TooLarge, batch.Stored},
		},
		{
			name: "add", options: batch.Row{Command: batch.Add}, rows: []string{"a\t1", "b\t-", "c\t3"},
			sent: "ms a 1 ME\r\n1\r\nms c 1 ME\r\n3\r\nmn\r\n", answers: "NS\r\nHD\r\nMN\r\n",
			want: []batch.Outcome{batch.Exists, batch.TooLarge, batch.Stored},
		},
		{
			name: "replace", options: batch.Row{Command: batch.Replace}, rows: []string{"a\t1"},
			sent: "ms a 1 MR\r\n1\r\nmn\r\n", answers: "NS \r\nMN\r\n", want: []batch.Outcome{batch.Missing},
		},
		{
			name: "closed in the middle", options: batch.Row{Command: batch.Add}, rows: []string{"a\t1", "b\t2", "c\t3"},
			sent: "ms a 1 ME\r\n1\r\nms b 1 ME\r\n2\r\nms c 1 ME\r\n3\r\nmn\r\n", answers: "HD\r\nH",
			want: []batch.Outcome{batch.Stored}, err: "it closes the connection after \"H\"",
		},
		{
			name: "an answer that is none", options: batch.Row{Command: batch.Set}, rows: []string{"a\t1"},
			sent: "ms a 1 q\r\n1\r\nmn\r\n", answers: "CLIENT_ERROR bad data chunk\r\nMN\r\n", err: "it answers \"CLIENT_ERROR bad data chunk\"",
		},
		{
			name: "too many answers", options: batch.Row{Command: batch.Set}, rows: []string{"a\t1"},
			sent: "ms a 1 q\r\n1\r\nmn\r\n", answers: "HD\r\nHD\r\nHD\r\n", err: "more than it was asked",
		},
		{
			name: "an endless line", options: batch.Row{Command: batch.Set}, rows: []string{"a\t1"},
			sent: "ms a 1 q\r\n1\r\nmn\r\n", answers: strings.Repeat("x", 3*maxLine), err: "…",
		},
		{
			name: "beyond 2038", options: batch.Row{Command: batch.Set, TTL: maxDate}, rows: []string{"a\t1"}, err: "2038",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := batchOf(t, tt.options, tt.rows...)
			k := &sink{session: session{store: &Store{}, conn: peer(t, tt.sent, tt.answers)}}
			err := k.put(b)
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			b.Finish(err)
			counts, _ := b.Counts()
			if counts.Sum() != uint64(len(tt.want)) {
				t.Errorf("%d rows have an outcome, want %d", counts.Sum(), len(tt.want))
			}
			for i, want := range tt.want {
				if got := b.Outcome(i); got != want {
					t.Errorf("row %d: outcome %d, want %d", i, got, want)
				}
			}
		})
	}
}

// When the connection ends, the batch that is on it ends with it, and those behind it are not sent.
func TestConnectionEnds(t *testing.T) {
	t.Parallel()
	k := &sink{
		session: session{store: &Store{}, conn: peer(t, "ms a 1 ME\r\n1\r\nms b 1 ME\r\n2\r\nmn\r\n", "HD\r\n"), used: time.Now()},
		work:    make(chan task, 2),
	}
	first := batchOf(t, batch.Row{Command: batch.Add}, "a\t1", "b\t2")
	second := batchOf(t, batch.Row{Command: batch.Add}, "c\t3")
	k.Submit(first)
	k.Submit(second)
	close(k.work)
	k.ended.Add(1)
	k.run()
	for b, settled := range map[*batch.Batch]uint64{first: 1, second: 0} {
		counts, err := b.Counts()
		if err == nil || !strings.HasSuffix(err.Error(), "what became of up to 1 rows is not known") || counts.Sum() != settled {
			t.Errorf("%d rows have an outcome, want %d (%v)", counts.Sum(), settled, err)
		}
	}
}

// What is longer than a month is a date, by memcached's clock; what has expired is below 0.
func TestTTL(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[uint32]int64{0: 0, meta.RelativeMax: meta.RelativeMax, meta.RelativeMax + 1: meta.RelativeMax + 101, batch.Past: -1} {
		c := &conn{itemSizeMax: 1 << 20, clock: 100, greeted: time.Now()}
		e := exchange{Batch: batchOf(t, batch.Row{Command: batch.Set, TTL: ttl}, "a\t1"), conn: c}
		if err := e.prepare(); err != nil {
			t.Fatal(err)
		}
		if got := e.set(0).TTL; got != want {
			t.Errorf("%d: %d, want %d", ttl, got, want)
		}
	}
}

func TestCAS(t *testing.T) {
	t.Parallel()
	b := batchOf(t, batch.Row{})
	at, err := b.Append(binary.NativeEndian.AppendUint64(nil, 1<<64-1))
	if err != nil {
		t.Fatal(err)
	}
	b.Add(batch.Row{NKey: 1, Command: batch.Add, CAS: at})
	e := exchange{Batch: b, conn: &conn{}, answered: true}
	if got, want := e.set(0), (meta.Set{CAS: 1<<64 - 1, Mode: meta.Add}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Whatever memcached answers, the work is bounded, no row has two outcomes, and none an outcome that it was not given.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte("HD\r\nNS\r\nMN\r\n"), true)
	f.Add([]byte("SERVER_ERROR out of memory storing object\r\nMN\r\nHD\r\nHD\r\nMN\r\n"), false)
	end, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0) // nothing more comes
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { unix.Close(end) })
	f.Fuzz(func(t *testing.T, answers []byte, add bool) {
		options := batch.Row{Command: batch.Set}
		if add {
			options.Command = batch.Add
		}
		b := batchOf(t, options, "a\t1", "b\t-", "c\t3")
		c := &conn{limit: AnswerLimit, fd: end, in: bytes.Clone(answers), itemSizeMax: 1 << 20}
		e := exchange{Batch: b, conn: c}
		settle := e.settleQuiet
		if add {
			settle = e.settleEach
		}
		err := settle()
		if errors.Is(err, errAnonymous) {
			if counts, _ := b.Counts(); add || counts.Sum() != 0 {
				t.Fatalf("error %v, %d outcomes", err, counts.Sum())
			}
			err = e.settleEach()
		}
		counts, _ := b.Counts()
		if sum := counts.Sum(); sum > 3 || err == nil && sum != 3 {
			t.Errorf("error %v, %d outcomes", err, sum)
		}
	})
}
