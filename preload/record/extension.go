package record

import (
	"path/filepath"
	"slices"
	"strings"
)

// extensions are the ends of files' names that are other than the formats' own.
var extensions = map[string]Format{"ndjson": JSONL, "json": JSONL}

// FormatOf is the format that a file's name says by its end: the format's own name, or
// another that is usual for it. ok is false, and the format Raw, if it says none.
func FormatOf(name string) (format Format, ok bool) {
	end := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	if format, ok = extensions[end]; ok {
		return format, true
	}
	if slices.Contains(Formats, Format(end)) {
		return Format(end), true
	}
	return Raw, false
}
