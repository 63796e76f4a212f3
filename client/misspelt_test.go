package main

import "testing"

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"load", "load", 0}, {"", "load", 4}, {"load", "", 4}, {"lod", "load", 1}, {"loaad", "load", 1}, {"laod", "load", 2},
		{"lead", "load", 1}, {"kitten", "sitting", 3}, {"saturday", "sunday", 3},
	} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestDidYouMean(t *testing.T) {
	commands := model(t).Node
	for word, want := range map[string]string{
		"laod": "load", "dum": "dump", "stats": "status", "delte": "delete", "remove": "", "tuoch": "touch", "compeltion": "completion", "tpo": "", "a": "", "ma": "man", "user": "", "": "",
		"complete": "", "__complet": "",
	} {
		if want != "" {
			want = ": did you mean " + want + "?"
		}
		if got := didYouMean(commands, word); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
