package protocol

import (
	"strings"
	"testing"

	"memcached-backdoor/preload/batch"
	"memcached-backdoor/preload/walk"
)

// Rows get their marks when they are stored, and an item that somebody else has stored meanwhile gets none.
func TestMark(t *testing.T) {
	t.Parallel()
	stale := batch.Row{Command: batch.Set, Stale: true}
	both := batch.Row{Command: batch.Set, Stale: true, Won: true, TTL: 60}
	won := batch.Row{Command: batch.Set, Won: true, TTL: 60}
	placeholder := batch.Row{Command: batch.Set, Won: true}
	for _, tt := range []struct {
		name          string
		options       batch.Row
		rows          []string
		old           bool // memcached before 1.6.13
		sent, answers string
		err           string
	}{
		{name: "stale", options: stale, rows: []string{"a\t1", "b\t2"},
			sent:    "ms a 1 c\r\n1\r\nms b 1 c\r\n2\r\nmn\r\n|md a I C7 E7\r\nmd b I C8 E8\r\nmn\r\n",
			answers: "HD c7\r\nHD c8\r\nMN\r\n|HD\r\nHD \r\nMN\r\n"},
		{name: "stale and won", options: both, rows: []string{"a\t1"},
			sent: "ms a 1 T60 c\r\n1\r\nmn\r\n|md a I C7 E7\r\nmn\r\n|mg a u c\r\nmn\r\n", answers: "HD c7\r\nMN\r\n|HD\r\nMN\r\n|HD c7 X W\r\nMN\r\n"},
		{name: "before 1.6.13", options: both, old: true, rows: []string{"a\t1"},
			sent: "ms a 1 T60 c\r\n1\r\nmn\r\n|md a I\r\nmn\r\n|mg a u c\r\nmn\r\n", answers: "HD c7\r\nMN\r\n|HD\r\nMN\r\n|HD c8 X W\r\nMN\r\n"},
		{name: "another's by now, or gone", options: both, rows: []string{"a\t1", "b\t1"},
			sent: "ms a 1 T60 c\r\n1\r\nms b 1 T60 c\r\n1\r\nmn\r\n|md a I C7 E7\r\nmd b I C8 E8\r\nmn\r\n", answers: "HD c7\r\nHD c8\r\nMN\r\n|EX\r\nNF\r\nMN\r\n"},
		{name: "won", options: won, rows: []string{"a\t1", "b\t1"},
			sent:    "ms a 1 T60 c\r\n1\r\nms b 1 T60 c\r\n1\r\nmn\r\n|mg a u c R2147483647\r\nmg b u c R2147483647\r\nmn\r\n",
			answers: "HD c7\r\nHD c8\r\nMN\r\n|HD c7 W\r\nEN\r\nMN\r\n"},
		{name: "placeholder", options: placeholder, rows: []string{"a\t-", "b\t", "c\t"},
			sent:    "md a\r\nms b 0 T2147483646 c\r\n\r\nms c 0 T2147483646 c\r\n\r\nmn\r\n|mg b u c R2147483647\r\nmg c u c R2147483647\r\nmn\r\n|mg b u T0\r\nmn\r\n",
			answers: "NF\r\nHD c7\r\nHD c8\r\nMN\r\n|HD c7 W\r\nHD c9 W\r\nMN\r\n|HD Z\r\nMN\r\n"},
		{name: "not added", options: batch.Row{Command: batch.Add, Stale: true}, rows: []string{"a\t1"}, sent: "ms a 1 c ME\r\n1\r\nmn\r\n", answers: "NS c7\r\nMN\r\n"},
		{name: "twice", options: stale, rows: []string{"a\t1", "a\t2"},
			sent: "ms a 1 c\r\n1\r\nms a 1 c\r\n2\r\nmn\r\n|md a I C8 E8\r\nmn\r\n", answers: "HD c7\r\nHD c8\r\nMN\r\n|HD\r\nMN\r\n"},
		{name: "an error", options: stale, rows: []string{"a\t1"}, sent: "ms a 1 c\r\n1\r\nmn\r\n|md a I C7 E7\r\nmn\r\n", answers: "HD c7\r\nMN\r\n|ERROR\r\n", err: `"ERROR"`},
		{name: "no CAS unique", options: stale, rows: []string{"a\t1"}, sent: "ms a 1 c\r\n1\r\nmn\r\n", answers: "HD cx\r\n", err: `"HD cx"`},
		{name: "no answer to win", options: won, rows: []string{"a\t1"}, sent: "ms a 1 T60 c\r\n1\r\nmn\r\n|mg a u c R2147483647\r\nmn\r\n", answers: "HD c7\r\nMN\r\n|\r\n", err: `""`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			c := peer(t, tt.sent, tt.answers)
			c.deletesCAS, c.hasCAS = !tt.old, !tt.old
			k := &sink{session: session{store: &Store{}, conn: c}}
			if err := k.put(batchOf(t, tt.options, tt.rows...)); tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Errorf("%v, want %q", err, tt.err)
			}
		})
	}
}

// Tokens are given back by commands that change no item but that.
func TestGiveBack(t *testing.T) {
	t.Parallel()
	c := peer(t, "md a I C7\r\nmd AA== b I C8\r\nmn\r\n", "HD\r\nEX\r\nMN\r\n")
	c.deletesCAS = true
	items := []*walk.Item{{Key: []byte("a"), CAS: 7}, {Key: []byte{0}, CAS: 8}}
	if left, err := c.giveBack(items); err != nil || left != nil {
		t.Error(left, err)
	}
	if _, err := peer(t, "", "").giveBack(nil); err != nil { // nothing is asked
		t.Error(err)
	}
	c = peer(t, "md a I C7\r\nmd AA== b I C8\r\nmn\r\n", "HD\r\nERROR\r\n")
	c.deletesCAS = true
	if left, err := c.giveBack(items); err == nil || len(left) != 1 || left[0] != items[1] {
		t.Error(left, err)
	}
}
