package record

import (
	"path/filepath"
	"slices"
	"strings"
)

// extensions are the file extensions that are not a format's own name.
var extensions = map[string]Format{"ndjson": JSONL, "json": JSONL}

// FormatOf returns the format that follows from a file's extension, which is a format's name, or another that is usual
// for it, in any case of letters. ok is false, and the format Raw, for any other extension.
func FormatOf(name string) (format Format, ok bool) {
	extension := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	if format, ok = extensions[extension]; ok {
		return format, true
	}
	if slices.Contains(Formats, Format(extension)) {
		return Format(extension), true
	}
	return Raw, false
}
