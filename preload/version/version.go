// Package version is the one place that says which release this is.
package version

// Release is the release that the source is of. CHANGELOG.md has a section for it.
const Release = "0.1.0"

// commit is the short name of the commit that was built, with "-dirty" if files differ from it. The Makefile
// sets it; it is "" if it is not known.
var commit string

// String returns the release and, if it is known, the commit: "0.1.0-1a2b3c4".
func String() string {
	if commit == "" {
		return Release
	}
	return Release + "-" + commit
}
