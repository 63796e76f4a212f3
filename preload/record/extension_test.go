package record

import "testing"

// The format follows from the file extension: the format's name, or another that is usual for it.
func TestFormatOf(t *testing.T) {
	for _, f := range Formats {
		if got, ok := FormatOf("/x.csv/a." + string(f)); got != f || !ok {
			t.Errorf("%s: %s, %t", f, got, ok)
		}
	}
	for name, want := range map[string]Format{"a.ndjson": JSONL, "a.json": JSONL, "A.CSV": CSV, "a.csv.tsv": TSV, "a.csv.gz": CSV, "a.CSV.GZ": CSV, "a.json.zst": JSONL, "a.tsv.xz": TSV, "a.dump.bz2": Dump} {
		if got, ok := FormatOf(name); got != want || !ok {
			t.Errorf("%s: %s, %t", name, got, ok)
		}
	}
	for _, name := range []string{"", "csv", "a", "a.", "a.gz", "csv.gz", "a.csv.gz.xz", ".gz", "a.csv/b", "a.txt", "jsonl/", "."} {
		if got, ok := FormatOf(name); got != Raw || ok {
			t.Errorf("%q: %s, %t", name, got, ok)
		}
	}
}
