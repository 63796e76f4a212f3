package protocol

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"memcached-backdoor/preload/walk"
)

// A list waits for a growth that is near, and not for a table that is nearly full and stays so.
func TestGrowsSoon(t *testing.T) {
	t.Parallel()
	const most = 98_304 // of 2^16 buckets
	for _, tt := range []struct {
		name        string
		before, now fill
		want        bool
	}{
		{"empty", fill{}, fill{}, false},
		{"half full", fill{items: most / 2}, fill{items: most / 2}, false},
		{"nearly full", fill{items: most * 98 / 100}, fill{items: most * 98 / 100}, false},
		{"full but for a moment", fill{items: most - 900}, fill{items: most - 900}, true},
		{"full", fill{items: most}, fill{items: most}, true},
		{"fuller, memcached's clock has not ticked", fill{items: 2 * most}, fill{items: 2 * most}, true},
		{"fills slowly", fill{items: 20_000}, fill{items: 21_000}, false},
		{"fills fast", fill{items: 20_000}, fill{items: 24_000}, true},
		{"becomes empty", fill{items: most}, fill{items: 0}, false},
		{"grows", fill{items: 1, growing: true}, fill{items: 1}, true},
		{"has begun to grow", fill{items: 1}, fill{items: 1, growing: true}, true},
	} {
		tt.before.most, tt.now.most = most, most
		if got := growsSoon(tt.before, tt.now); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}

// A list waits for a page that is not done, and a look longer, and not for pages that are moved one after the other.
func TestIsHeldUp(t *testing.T) {
	t.Parallel()
	const most = 98_304
	for _, tt := range []struct {
		pages []string
		want  string // . for each look after which a list may begin
	}{
		{[]string{"", "", ""}, ".."},
		{[]string{"5", "5", "5", "", ""}, "xxx."},
		{[]string{"5", "", ""}, "x."},
		{[]string{"", "5", "5", "6"}, ".x."},
		{[]string{"5", "6", "7"}, ".."},
	} {
		seen := outlook{last: fill{most: most, page: tt.pages[0]}, calm: growthCalm}
		var got string
		for _, page := range tt.pages[1:] {
			if seen.near(fill{most: most, page: page}) {
				got += "x"
			} else {
				got += "."
			}
		}
		if got != tt.want {
			t.Errorf("%q: %s", tt.pages, got)
		}
	}
}

// statistics are what a memcached states whose hash table has 2^power buckets.
func statistics(items, power, growing string) string {
	return "STAT curr_items " + items + "\r\nSTAT hash_power_level " + power + "\r\nSTAT hash_is_expanding " + growing + "\r\nEND\r\n"
}

// looks are so many questions of how full it is.
func looks(n int) string { return strings.TrimSuffix(strings.Repeat("stats\r\n|", n), "|") }

var (
	full   = statistics("98400", "16", "0")
	grows  = statistics("98400", "17", "1")
	roomy  = statistics("98400", "17", "0")
	stays  = func() error { return nil }
	errHas = errors.New("the client has gone")
)

// It looks until a growth is over, and what is no statistic is an error.
func TestAwaitGrowth(t *testing.T) {
	t.Parallel()
	later := time.Now().Add(time.Hour)
	if err := peer(t, looks(5), strings.Join([]string{full, full, grows, roomy, roomy}, "|")).awaitGrowth(later, stays); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{statistics("", "16", "0"), statistics("1", "x", "0"), statistics("1", "63", "0"), "END\r\n", "ERROR\r\n"} {
		if err := peer(t, looks(1), bad).awaitGrowth(later, stays); err == nil {
			t.Errorf("%q is no error", bad)
		}
	}
	// After the deadline it does not look again, but takes a table that has room.
	if err := peer(t, looks(2), full+"|"+full).awaitGrowth(time.Now(), stays); err != growsNow {
		t.Error(err)
	}
	if err := peer(t, looks(2), roomy+"|"+roomy).awaitGrowth(time.Now(), stays); err != nil {
		t.Error(err)
	}
	if err := peer(t, looks(2), full+"|"+full).awaitGrowth(later, func() error { return errHas }); err != errHas {
		t.Error(err)
	}
	if err := peer(t, looks(2), full+"|STAT curr_items 98400\r\nSTAT ha").awaitGrowth(later, stays); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

// A walk asks for the list when no growth is near, and reads it.
func TestWalkAwaitsGrowth(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"1.6.18", "1.6.45"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			walkAwaitsGrowth(t, version)
		})
	}
}

func walkAwaitsGrowth(t *testing.T, version string) {
	const list = "lru_crawler metadump hash\r\n"
	s := listens(t, version,
		dialogue{looks(4) + "|" + list, strings.Join([]string{full, grows, roomy, roomy, "ERROR locked try again later\r\n"}, "|")},
		dialogue{looks(2) + "|" + list, roomy + "|" + roomy + "|key=a exp=-1 la=1 cas=2 fetch=no cls=1 size=64\r\nEND\r\n"},
		dialogue{"mg a u f l t s c h v\r\nmn\r\n", "VA 1 f0 t-1 s1 c7\r\nv\r\nMN\r\n"})
	w, err := s.Walk(walk.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var met []string
	each := func(i *walk.Item) error {
		met = append(met, fmt.Sprintf("%s=%s", i.Key, i.Value))
		return nil
	}
	for err == nil {
		err = w.Next(each)
	}
	if err != io.EOF || strings.Join(met, " ") != "a=v" {
		t.Errorf("%q, %v", met, err)
	}
}

// No list is asked for when the connection fails before, or the client has gone while the table was full, or memcached's crawler
// busy.
func TestWalkEndsWaiting(t *testing.T) {
	t.Parallel()
	asked := 0
	gone := func() error {
		if asked++; asked == 2 {
			return errHas
		}
		return nil
	}
	for _, tt := range []struct {
		name      string
		dialogues []dialogue
		gone      func() error
		err       error
	}{
		{"closed", []dialogue{{looks(2), full + "|STAT"}}, nil, errClosed},
		{"full", []dialogue{{looks(3), full + "|" + full + "|" + full}}, gone, errHas},
		{"busy", []dialogue{{looks(2) + "|lru_crawler metadump hash\r\n", roomy + "|" + roomy + "|BUSY currently processing crawler request\r\n"}},
			func() error { return errHas }, errHas},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if w, err := listens(t, "1.6.18", tt.dialogues...).Walk(walk.Options{ClientGone: tt.gone}); !errors.Is(err, tt.err) || w != nil {
				t.Errorf("%v, %v", w, err)
			}
		})
	}
}

// A table that stays nearly full does not grow; one that is full, or becomes fuller, may at any moment.
func TestNearlyFull(t *testing.T) {
	t.Parallel()
	const most = 98_304 // of 2^16 buckets
	const never = 10 * growthCalm
	for _, tt := range []struct {
		name  string
		items func(look int) int64
		looks int
	}{
		{"as full as it was", func(int) int64 { return most - 1 }, growthCalm},
		{"up and down", func(look int) int64 { return most - 100 + int64(look)%2*99 }, growthCalm + 1},
		{"slowly fuller", func(look int) int64 { return most - never + int64(look) }, never},
		{"full", func(int) int64 { return most }, never},
		{"full a moment ago", func(look int) int64 { return most - min(int64(look), 1)*10 }, never},
	} {
		first := fill{items: tt.items(0), most: most}
		seen := outlook{last: first, highest: first.items}
		looks := 1
		for seen.near(fill{items: tt.items(looks), most: most}) && looks < never {
			looks++
		}
		if looks != tt.looks {
			t.Errorf("%s: %d looks", tt.name, looks)
		}
	}
	seen := outlook{highest: most - 1, last: fill{items: most - 1, most: most, growing: true}, calm: growthCalm}
	if !seen.near(fill{items: most - 1, most: most, growing: true}) {
		t.Error("one that grows does not")
	}
}
