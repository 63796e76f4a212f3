package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"

	"memcached-backdoor/preload/door"
)

// A marked item is one by its key in commands, with what makes it and what memcached answers to the next "mg" of it.
type marked struct{ key, made, next string }

// marks are all that an item can have. W is the token for whoever asks, X a stale item, Z one whose token somebody has
// (protocol.txt: "Meta Get").
func marks() []marked {
	large := strings.Repeat("0123456789", 60_000)
	store := func(key, value, flags string) string {
		return fmt.Sprintf("ms %s %d%s\r\n%s\r\n", key, len(value), flags, value)
	}
	return []marked{
		{"fresh", store("fresh", "v", " F1 T1000"), "HD t1000"},
		{"stale", store("stale", "v", " F2") + "md stale I\r\n", "HD t-1 W X"},
		{"expiring", store("expiring", "v", " T1000") + "md expiring I T900\r\n", "HD t900 W X"},
		{"large", store("large", large, "") + "md large I\r\n", "HD t-1 W X"},
		{"YSBi b", store("YSBi", "v", " b") + "md YSBi b I\r\n", "HD t-1 W X"},
		{"both", store("both", "v", "") + "md both I\r\nmg both u\r\n", "HD t-1 X Z"},
		{"large-both", store("large-both", large, " T1000") + "md large-both I\r\nmg large-both u\r\n", "HD t1000 X Z"},
		{"YyBk b", store("YyBk", "v", " b") + "md YyBk b I\r\nmg YyBk b u\r\n", "HD t-1 X Z"},
		{"won", store("won", "v", " F3 T1000") + "mg won u R2000\r\n", "HD t1000 Z"},
		{"placeholder", "mg placeholder N0\r\n", "HD t-1 Z"},
		{"brief", "mg brief N1000\r\n", "HD t1000 Z"},
		{"again", store("again", "v", "") + "md again I\r\nmg again u\r\nmd again I\r\n", "HD t-1 W X"},
		{"renewed", store("renewed", "v", "") + "md renewed I\r\n" + store("renewed", "v", ""), "HD t-1"},
	}
}

// tells sends memcached commands with an answer of a line each, and returns these.
func (s *server) tells(commands string) (answers []string) {
	s.t.Helper()
	conn := dial(s)
	defer conn.Close()
	go fmt.Fprint(conn, commands, "mn\r\n") // an error is the reader's, too
	for in := bufio.NewScanner(conn); in.Scan(); answers = append(answers, in.Text()) {
		if in.Text() == "MN" {
			return answers
		}
	}
	s.t.Fatalf("%q after %.200q", answers, commands)
	return nil
}

// makeMarks makes the marked items.
func (s *server) makeMarks(items []marked) {
	s.t.Helper()
	for _, i := range items {
		for _, answer := range s.tells(i.made) {
			if !strings.HasPrefix(answer, "HD") && !strings.HasPrefix(answer, "EN") {
				s.t.Fatalf("%s: memcached answers %q", i.key, answer)
			}
		}
	}
}

// marksAre asks for each item as a client would, which changes the marks, and compares what memcached answers.
func (s *server) marksAre(what string, items []marked) {
	s.t.Helper()
	for _, i := range items {
		answer := s.tells("mg " + i.key + " u t\r\n")[0]
		words := strings.Fields(strings.ReplaceAll(answer, " b", "")) // of a key in base64
		slices.Sort(words[min(2, len(words)):])
		if got := strings.Join(words, " "); !alike(got, i.next) {
			s.t.Errorf("%s: %s: memcached answers %q, want %q", what, i.key, got, i.next)
		}
	}
}

// alike compares answers, whose times may differ by what has gone by, and by what is rounded.
func alike(got, want string) bool {
	var a, b int
	g, w := strings.Fields(got), strings.Fields(want)
	if len(g) != len(w) || len(g) < 2 {
		return false
	}
	fmt.Sscanf(g[1], "t%d", &a)
	fmt.Sscanf(w[1], "t%d", &b)
	return slices.Equal(g[2:], w[2:]) && g[0] == w[0] && (a < 0) == (b < 0) && a <= b+2 && a > b-60
}

// The marks of items survive a dump and what it is restored by, and the dump itself changes none of them.
func TestMarks(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		for _, args := range [][]string{nil, {"-C"}} {
			items := marks()
			s := start(t, h.program, args...)
			s.makeMarks(items)
			path, d := s.dump()
			if d.Items != uint64(len(items)) || (d.Engine == door.EngineNative) != h.native() {
				t.Fatalf("%+v", d)
			}
			// The dump, a list and a comparison have left every token where it was.
			list, _ := s.dump("--format", "list")
			for _, line := range strings.Split(strings.TrimSpace(read(t, list)), "\n") {
				words := strings.Fields(line)
				for _, i := range items {
					if i.key == words[0] && (slices.Contains(words, "stale") != strings.Contains(i.next, "X") || slices.Contains(words, "won") != strings.Contains(i.next, "Z")) {
						t.Errorf("%q in the list, want %q", line, i.next)
					}
				}
			}
			if lines, _ := s.compared(0, path); len(lines) > 0 {
				t.Errorf("differences from itself: %q", lines)
			}
			jsonl, _ := s.dump("--format", "jsonl")
			if _, d := s.dump("--format", "csv"); d.Unmarked != 11 {
				t.Errorf("%d items of a CSV are said to have lost their marks", d.Unmarked)
			}
			s.marksAre("after dumps", items)

			// By now the first of them are won.
			lines, counts := s.compared(3, path)
			want := []string{"~ \"a b\" won", "~ again won", "~ expiring won", "~ large won", "~ stale won"}
			if !slices.Equal(lines, want) || counts["changed"] != len(want) {
				t.Errorf("%q, %v", lines, counts)
			}

			for name, to := range map[string]*server{"the same": start(t, h.program, args...), "another": start(t, h.other(t), args...)} {
				for range 2 { // over nothing, and over what is there
					if l, stderr, status := to.restored(path); status != 0 || l.Stored != uint64(len(items)) {
						t.Errorf("status %d, %s%+v", status, stderr, l)
					}
					if lines, _ := to.compared(0, path); len(lines) > 0 {
						t.Errorf("restored by %s: %q", name, lines)
					}
					to.marksAre("restored by "+name, items)
				}
				// What is there stays, with its marks.
				to.tells("md both I\r\nms stale 1\r\nw\r\n")
				if l, stderr, status := to.restored("--mode", "add", path); status != 0 || l.Skipped != uint64(len(items)) {
					t.Errorf("status %d, %s%+v", status, stderr, l)
				}
				to.marksAre("restored by --mode add", []marked{{key: "both", next: "HD t-1 W X"}, {key: "stale", next: "HD t-1"}})

				for _, i := range items {
					to.tells("md " + i.key + "\r\n")
				}
				to.load(door.Request{Rows: door.Rows{Format: "jsonl"}}, []byte(read(t, jsonl)))
				to.marksAre("loaded as jsonl by "+name, slices.DeleteFunc(slices.Clone(items), func(i marked) bool { return strings.HasSuffix(i.key, " b") }))
			}

			plain := newServer(t, h.other(t), args...)
			plain.preload = ""
			plain.start()
			plain.waitServing()
			plain.tells(strings.TrimSuffix(read(t, path), "mn\r\n"))
			plain.marksAre("by memcached alone", items)
			s.lives()
		}
	})
}

// A restart keeps the marks.
func TestMarksSaved(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		items, path := marks(), saved(t)
		s := saving(t, h.program, path)
		s.start()
		s.awaitFixtures()
		s.makeMarks(items)
		s.end(syscall.SIGTERM)
		next := saving(t, h.program, path)
		next.start()
		if preload := next.awaitFixtures(); !preload.Complete || preload.Stored != uint64(len(items)) {
			t.Fatalf("%+v", preload)
		}
		next.marksAre("after a restart", items)
		next.end(syscall.SIGTERM)
	})
}

// A dump in which the commands of a mark are damaged, or missing, has no such item: least of all a fresh one.
func TestMarksDamaged(t *testing.T) {
	t.Parallel()
	s := start(t, stock(t))
	s.makeMarks(marks())
	path, _ := s.dump("--match", "stale")
	whole := read(t, path)
	to := start(t, stock(t))
	for _, damaged := range []string{
		strings.Replace(whole, "md stale I q\r\n", "", 1), strings.Replace(whole, "md stale I q", "md Stale I q", 1),
		strings.Replace(whole, "X q", " q", 1), strings.Replace(whole, "X q", "XZ q", 1), strings.Replace(whole, "X q", "Z q", 1),
		whole[:strings.Index(whole, "md ")],
	} {
		if l, _, status := to.restored(written(t, "dump", []byte(damaged))); status == 0 || l.Stored != 0 || l.Rejected == 0 {
			t.Errorf("%q: status %d, %+v", damaged, status, l)
		}
		to.missing("stale")
	}
}

// A dump by protocol takes tokens and gives them back: beside dumps each invalidation has its winner, a single one,
// and what a client stores stays fresh.
func TestMarksBesideDumps(t *testing.T) {
	t.Parallel()
	s := start(t, built(t, "hosts/unknown/memcached"))
	s.waitDoor()
	done, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			select {
			case <-done:
				failed <- nil
				return
			default:
			}
			r, w, err := os.Pipe()
			if err == nil {
				go io.Copy(io.Discard, r)
				var reply door.Reply
				if reply, err = call(s.door, door.Request{Op: door.OpDump, Items: door.Items{Format: "ms"}}, w); err == nil && reply.Error != nil {
					err = reply.Error
				}
				w.Close()
			}
			if err != nil {
				failed <- err
				return
			}
		}
	}()
	has := func(flag string) bool { return slices.Contains(strings.Fields(s.tells("mg k u\r\n")[0]), flag) }
	for n := range 400 {
		s.tells("md k I\r\n")
		s.tells("ms k 1\r\nv\r\n") // without asking
		for range 5 {
			if has("X") {
				t.Fatalf("round %d: what was stored is stale", n)
			}
		}
		s.tells("md k I\r\n")
		wait(t, "the token", func() error {
			if !has("W") {
				return errors.New("another has it")
			}
			return nil
		})
		for range 3 {
			if has("W") {
				t.Fatalf("round %d: the token was won twice", n)
			}
		}
	}
	close(done)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	s.lives()
}
