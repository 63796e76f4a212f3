package protocol

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/walk"
)

func TestChanges(t *testing.T) {
	t.Parallel()
	items := []walk.Item{
		{Key: []byte("a"), CAS: 7}, {Key: []byte("b\n"), CAS: 8},
		{Key: []byte(strings.Repeat("\x00", 187)), CAS: 9}, // no command can have it
		{Key: []byte("c")}, {Key: []byte("d"), CAS: 1<<64 - 1},
	}
	const deletes = "md a C7\r\nmd Ygo= b C8\r\nmd c C0\r\nmd d C18446744073709551615\r\nmn\r\n"
	for _, tt := range []struct {
		name          string
		kind          walk.Change
		sent, answers string
		want          walk.Changed
		err           string
	}{
		{
			name: "delete", kind: walk.Delete, sent: deletes, answers: "HD\r\nEX \r\nNF\r\nHD\r\nMN\r\n",
			want: walk.Changed{Changed: 2, Replaced: 1, Gone: 1, Unfit: 1},
		},
		{
			name: "invalidate", kind: walk.Invalidate, sent: "md a I C7\r\nmd Ygo= b I C8\r\nmd c I C0\r\nmd d I C18446744073709551615\r\nmn\r\n", answers: "HD\r\nHD\r\nHD\r\nHD\r\nMN\r\n",
			want: walk.Changed{Changed: 4, Unfit: 1},
		},
		{
			name: "another answer", kind: walk.Delete, sent: deletes, answers: "HD\r\nSERVER_ERROR out of luck\r\n",
			want: walk.Changed{Changed: 1, Unfit: 1}, err: "SERVER_ERROR out of luck",
		},
		{
			name: "an end too few", kind: walk.Delete, sent: deletes, answers: "HD\r\nHD\r\n",
			want: walk.Changed{Changed: 2, Unfit: 1}, err: errClosed.Error(),
		},
		{
			name: "an answer too many", kind: walk.Delete, sent: deletes, answers: "HD\r\nHD\r\nHD\r\nHD\r\nHD\r\n",
			want: walk.Changed{Changed: 4, Unfit: 1}, err: "HD",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := &changes{session: session{store: &Store{}, conn: peer(t, tt.sent, tt.answers), used: time.Now()}, kind: tt.kind}
			for i := range items {
				key := items[i].Key
				if !g.Add(&walk.Item{Key: key, CAS: items[i].CAS}, 0) {
					t.Fatal("there is no room")
				}
			}
			if g.Len() != len(items) {
				t.Errorf("%d items were added", g.Len())
			}
			changed, err := g.Apply()
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
			if changed != tt.want || g.Len() != 0 {
				t.Errorf("%+v, want %+v; %d are left", changed, tt.want, g.Len())
			}
		})
	}
}

// Items for which the conditions do not hold any more stay as they are, whatever their CAS uniques.
func TestChangesHold(t *testing.T) {
	t.Parallel()
	const n = 7
	var asked, items strings.Builder
	for i := range n {
		fmt.Fprintf(&asked, "me %d\r\n", i)
	}
	for _, line := range []string{
		"ME 0 exp=-1 la=10 cas=1 fetch=no cls=1 size=60",                                                      // as it was
		"ME 1 exp=100 la=10 cas=1 fetch=no cls=1 size=60", "ME 2 exp=-100 la=10 cas=1 fetch=no cls=1 size=60", // before 1.6.24
		"EN", "ME 4 exp=-1 la=10 cas=2 fetch=no cls=1 size=60", "ME 5 exp=-1 la=9 cas=1 fetch=no cls=1 size=60", "ME 6 exp=-1 la=10 cas=1 fetch=yes cls=1 size=60",
	} {
		items.WriteString(line + "\r\n")
	}
	s := listens(t, "1.6.45", dialogue{asked.String() + "mn\r\n|md 0 C1\r\nmn\r\n", items.String() + "MN\r\n|HD\r\nMN\r\n"})
	wanted, err := filter.New(filter.Options{NeverExpires: true, OlderThan: 10, MinSize: 5})
	if err != nil {
		t.Fatal(err)
	}
	g, err := s.Changes(walk.Delete, wanted.Conditions())
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	for i := range n {
		g.Add(&walk.Item{Key: fmt.Append(nil, i), CAS: 1, TTL: -1, Idle: 10, Size: 5}, 0)
	}
	if changed, err := g.Apply(); err != nil || changed != (walk.Changed{Changed: 1, Replaced: 5, Gone: 1}) {
		t.Errorf("%+v, %v", changed, err)
	}
}

// The keys are the changes' own, which end where there is no room; the connection is made anew after it was idle for long.
func TestChangesAnew(t *testing.T) {
	t.Parallel()
	var sent, answers strings.Builder
	for range changesMax {
		sent.WriteString("md k C3\r\n")
		answers.WriteString("HD\r\n")
	}
	s := listens(t, "1.6.45", dialogue{}, dialogue{sent.String() + "mn\r\n", answers.String() + "MN\r\n"})
	g, err := s.Changes(walk.Delete, walk.Conditions{})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	key := []byte("k")
	for range changesMax {
		if !g.Add(&walk.Item{Key: key, CAS: 3}, 0) {
			t.Fatal("there is no room")
		}
	}
	if g.Add(&walk.Item{Key: key}, 0) || g.Add(&walk.Item{Key: make([]byte, 200)}, 0) {
		t.Error("there is room for another one")
	}
	key[0] = 'x'
	g.(*changes).used = time.Now().Add(-idleLimit)
	if changed, err := g.Apply(); err != nil || changed.Changed != changesMax {
		t.Errorf("%+v, %v", changed, err)
	}
}

// What memcached cannot compare is not changed.
func TestNoChanges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		version string
		kind    walk.Change
		want    string
	}{
		{"1.6.45", walk.Touch, "cannot touch an item only if it is still the same"},
		{"1.6.12", walk.Delete, "older than 1.6.13"},
		{"1.6.12", walk.Invalidate, "older than 1.6.13"},
	} {
		s := &Store{}
		if tt.kind != walk.Touch {
			s = listens(t, tt.version, dialogue{})
		}
		if g, err := s.Changes(tt.kind, walk.Conditions{}); err == nil || g != nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, %v", tt.version, g, err)
		}
	}
}

// listedKeys are a list of keys.
type listedKeys []string

func (k *listedKeys) Next() ([]byte, error) {
	if len(*k) == 0 {
		return nil, io.EOF
	}
	key := []byte((*k)[0])
	*k = (*k)[1:]
	return key, nil
}

// The items of listed keys come in the order of the list, each of those that are not there as one that has gone.
func TestListedKeys(t *testing.T) {
	t.Parallel()
	s := listens(t, "1.6.45",
		dialogue{"me a\r\nme b\r\nme a\r\nmn\r\n", "ME a cls=1 size=60\r\nEN\r\nME a cls=1 size=60\r\nMN\r\n"},
		dialogue{"mg a u f l t s c h\r\nmg a u f l t s c h\r\nmn\r\n", "HD f3 l5 t60 s1 c7 h0\r\nHD f3 l5 t60 s1 c7 h1\r\nMN\r\n"})
	w, err := walk.Listed(s, &listedKeys{"a", "b", "a"}).Walk(walk.Options{KeysOnly: true, Prefix: "x"})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var met []string
	for err = nil; err == nil; {
		err = w.Next(func(i *walk.Item) error {
			met = append(met, fmt.Sprintf("%s %t %d %d %d %d %t", i.Key, i.Gone, i.CAS, i.TTL, i.Idle, i.Size, i.Fetched))
			return nil
		})
	}
	if got := strings.Join(met, ", "); got != "a false 7 60 5 1 false, b true 0 -1 0 0 false, a false 7 60 5 1 true" || err != io.EOF {
		t.Errorf("%s, %v", got, err)
	}
}
