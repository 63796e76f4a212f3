package load

import (
	"fmt"
	"strings"
	"testing"

	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
	"memcached-backdoor/preload/unstored"
)

// A reject whose key is known takes out the key's old value, in the order of the rows, and is counted and written once,
// with its reason.
func TestRejectsRemove(t *testing.T) {
	columns := record.Options{Format: record.TSV, Key: "1", Value: "2", FlagsColumn: "3"}
	commands := record.Options{Format: record.Memcached}
	long := strings.Repeat("x", 3<<20)
	for _, tt := range []struct {
		name, input string
		options     record.Options
		stored      string
		rejects     string
		skipped     uint64
		reason      string
	}{
		{
			name: "among others", options: columns, input: "a\t1\t1\nb\t2\tx\nc d\t3\t1\nb\t4\t1\ne\t5\tx\nno\t6\t1\n", stored: "a=1,-b,b=1,-e,",
			rejects: "b\t2\tx\nc d\t3\t1\ne\t5\tx\nno\t6\t1\n",
			reason: "2\t5\t" + string(record.BadFlags) + ": \"x\" in column 3\t\"b\"\n3\t2\t" + string(record.KeyByte) + "\t\"c d\"\n5\t5\t" +
				string(record.BadFlags) + ": \"x\" in column 3\t\"e\"\n6\t0\t" + string(unstored.NoMemory) + "\t\"no\"\n",
		},
		{
			name: "with rows that have expired", options: commands, input: "set a 0 -1 1\r\n1\r\nset b 0 x 1\r\n2\r\nset c 0 -1 1\r\n3\r\n",
			stored: "-a,-b,-c,", rejects: "set b 0 x 1\r\n2\r\n", skipped: 2, reason: "3\t9\t" + string(record.BadExptime) + ": \"x\"\t\"b\"\n",
		},
		{
			name: "not to be set", options: commands, input: "add a x 0 1\r\n1\r\nreplace b x 0 1\r\n1\r\nms c 1 Fx ME\r\n1\r\n",
			rejects: "add a x 0 1\r\n1\r\nreplace b x 0 1\r\n1\r\nms c 1 Fx ME\r\n1\r\n",
			reason:  "1\t7\t" + string(record.BadFlags) + ": \"x\"\t\"a\"\n3\t11\t" + string(record.BadFlags) + ": \"x\"\t\"b\"\n5\t8\t" + string(record.BadFlags) + ": \"x\"\t\"c\"\n",
		},
		{
			name: "too long for a batch", options: commands, input: "set a 0 0 1\r\n1\r\nset b x 0 " + fmt.Sprint(len(long)) + "\r\n" + long + "\r\nset c 0 0 1\r\n3\r\n",
			stored: "a=1,-b,c=1,", rejects: "set b x 0 " + fmt.Sprint(len(long)) + "\r\n" + long + "\r\n", reason: "3\t7\t" + string(record.BadFlags) + ": \"x\"\t\"b\"\n",
		},
	} {
		var bad, reasons file
		stored, counts, err := loadText(t, tt.input, Options{Record: tt.options, Rejects: &bad, Reasons: &reasons})
		if err != nil || stored != tt.stored || bad.String() != tt.rejects || reasons.String() != tt.reason {
			t.Errorf("%s: %q %.200q %s %v", tt.name, stored, bad.String(), reasons.String(), err)
		}
		if rejected := uint64(strings.Count(tt.reason, "\n")); counts.Rejected != rejected || counts.Skipped != tt.skipped || counts.Reasons[record.Expired] != tt.skipped {
			t.Errorf("%s: %+v", tt.name, counts)
		}
	}
	// They are known to be rejected at once.
	if stored, counts, err := loadText(t, "a\t1\tx\nb\t1\tx\nc\t1\t1\n", Options{Record: columns, Limits: limits.Options{MaxErrors: "1"}}); err != nil || stored != "-a,-b," || !counts.Limited || counts.Rows != 2 {
		t.Errorf("%q, %+v, %v", stored, counts, err)
	}
}

// A row whose key a later row takes out is not looked for: it is missing for that reason.
func TestSampleForgetsRemoved(t *testing.T) {
	sample := NewSample()
	columns := record.Options{Format: record.TSV, Key: "1", Value: "2", FlagsColumn: "3"}
	if _, _, err := loadText(t, "a\t1\t1\nb\t1\t1\na\t2\tx\nc\t1\t1\n", Options{Record: columns, Sample: sample}); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string][]*Sampled{"first": sample.first, "rows": sample.rows} {
		var keys []string
		for _, row := range rows {
			if row != nil {
				keys = append(keys, string(row.key))
			}
		}
		if strings.Join(keys, ",") != "b,c" {
			t.Errorf("%s: %q", name, keys)
		}
	}
}

// A row that is among the first and among the others is one witness: if it is gone, it is counted once.
func TestWitnessesAreDistinct(t *testing.T) {
	sample := NewSample()
	var rows strings.Builder
	for i := range 3 * firstRows {
		fmt.Fprintf(&rows, "key_%d\t1\n", i)
	}
	if _, _, err := loadText(t, rows.String()+rows.String(), Options{Sample: sample}); err != nil {
		t.Fatal(err)
	}
	witnesses := sample.Witnesses(nil)
	keys := make(map[string]bool)
	for _, row := range witnesses {
		keys[string(row.key)] = true
	}
	if len(witnesses) != 2*firstRows || len(keys) != len(witnesses) {
		t.Errorf("%d witnesses of %d keys", len(witnesses), len(keys))
	}
}
