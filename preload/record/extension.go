package record

import (
	"path/filepath"
	"slices"
	"strings"
)

// extensions are the file extensions that are not a format's own name.
var extensions = map[string]Format{"ndjson": JSONL, "json": JSONL}

// packed are the extensions of compressed files.
var packed = []string{".gz", ".zst", ".xz", ".bz2"}

// FormatOf returns the format that follows from a file's extension, which is a format's name, or another that is usual
// for it, in any case of letters; that of a compressed file comes behind it. ok is false, and the format Raw, for any
// other extension.
func FormatOf(name string) (format Format, ok bool) {
	if last := filepath.Ext(name); slices.Contains(packed, strings.ToLower(last)) {
		name = strings.TrimSuffix(name, last)
	}
	extension := strings.ToLower(strings.TrimPrefix(filepath.Ext(name), "."))
	if format, ok = extensions[extension]; ok {
		return format, true
	}
	if slices.Contains(Formats, Format(extension)) {
		return Format(extension), true
	}
	return Raw, false
}
