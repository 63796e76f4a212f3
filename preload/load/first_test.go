package load

import (
	"fmt"
	"strings"
	"testing"
)

// The first rows are the first that are stored, whatever was rejected before, from as many batches as that takes.
func TestFirst(t *testing.T) {
	rows := strings.Repeat("no\tmemory\n", 3*8192) + "a\t" + strings.Repeat("x", 65) + "\nno\t\n" + strings.Repeat("bad\n", 2*8192) + "b\t\nc\t3\nd\t4\n"
	for kept, want := range map[int]string{0: "", 2: "a=65:64,b=0:0,", 9: "a=65:64,b=0:0,c=1:1,d=1:1,"} {
		_, counts, err := loadText(t, rows, Options{FirstKept: kept})
		var got strings.Builder
		for _, f := range counts.First {
			fmt.Fprintf(&got, "%s=%d:%d,", f.Key, f.Size, len(f.Value))
		}
		if err != nil || got.String() != want {
			t.Errorf("%d: %s, %v; want %s", kept, got.String(), err, want)
		}
	}
}
