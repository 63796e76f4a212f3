package host

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Version is a released version of memcached.
type Version struct{ Major, Minor, Patch int }

func (v Version) String() string { return fmt.Sprintf("%d.%d.%d", v.Major, v.Minor, v.Patch) }

// Compare is negative if v is older than w, positive if it is newer, 0 if they are the same.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor), cmp.Compare(v.Patch, w.Patch))
}

// AtLeast reports whether v is w or newer.
func (v Version) AtLeast(w Version) bool { return v.Compare(w) >= 0 }

// Signatures and layouts are known for these and everything between them.
var (
	oldest = Version{1, 4, 25}
	newest = Version{1, 6, 45}
)

// metaSet is the first version that reads "ms <key> <datalen> <flags>*" (doc/protocol.txt), which a load by protocol
// sends.  Before it the length was a flag, S.
var metaSet = Version{1, 6, 10}

// NoMeta is the reason for which this memcached's protocol cannot be used, "" if it may be usable; f may be nil.
func (f *Facts) NoMeta() string {
	if f == nil || f.Version == (Version{}) || f.Version.AtLeast(metaSet) {
		return ""
	}
	return fmt.Sprintf("the meta commands that it takes are of %s", metaSet)
}

// startExpand is the first version that has assoc_start_expand as a function of its own (assoc.c). Before it the lock under
// which the hash table grows is locked by its maintenance thread alone.
var startExpand = Version{1, 5, 20}

// NoWalk is the reason for which the items of a memcached whose functions were found cannot be walked through with them;
// "": none is known. The addresses of the table and of the items' locks are found in the process only.
func (f *Facts) NoWalk() string {
	switch {
	case f.Table.Hash != 0 && f.Table.MaintenanceLock != 0:
		return ""
	case !f.Version.AtLeast(startExpand):
		return fmt.Sprintf("the lock under which memcached's hash table grows is found from %s on", startExpand)
	}
	return "memcached's hash function, or the lock under which its hash table grows, is not found in its code"
}

// HasMeta reports whether a running memcached that states this version reads the commands of a load by protocol.  Only
// the three numbers count, not what follows them.
func HasMeta(stated string) bool { return statedAtLeast(stated, metaSet) }

// DeletesByCAS reports, as HasMeta, whether its "md" compares the item's CAS unique with that of the flag C: before 1.6.13 every
// item that has one is another to it (proto_text.c: process_mdelete_command, req_cas_id).
func DeletesByCAS(stated string) bool {
	return statedAtLeast(stated, Version{Major: 1, Minor: 6, Patch: 13})
}

// LogsLookups reports, as HasMeta, whether its log of lookups is safe to read ("watch fetchers"): before 1.6.9 its logger can take one
// watcher's connection for another's (logger.c: logger_thread_poll_watchers), and before 1.5.15 a long key overruns its buffer.
func LogsLookups(stated string) bool { return statedAtLeast(stated, Version{1, 6, 9}) }

// ClosesWatchers reports, as HasMeta, whether a watcher's connection may fail at any time: before 1.6.45 the logger uses a watcher that it has
// freed if its buffer is full then (logger.c: logger_thread_write_entry).
func ClosesWatchers(stated string) bool { return statedAtLeast(stated, Version{1, 6, 45}) }

func statedAtLeast(stated string, least Version) bool {
	var v Version
	n, _ := fmt.Sscanf(stated, "%d.%d.%d", &v.Major, &v.Minor, &v.Patch)
	return n == 3 && v.AtLeast(least)
}

// The two places where a memcached states its version; "VERSION" is the text protocol's reply (proto_text.c:
// process_version_command), the other is the first line of usage() and of -V.
const (
	usageWord = "memcached "
	replyWord = "VERSION "
)

// longestVersion is more than any released version has; what is longer is shown in part.
const longestVersion = 64

// findVersion reads the version out of the literals.  Both places must state it and state the same.  A version that is
// stated and not supported is returned with the error.
func findVersion(m *image) (Version, error) {
	usage, reply := m.versions(usageWord), m.versions(replyWord)
	var stated []string
	for _, s := range append(usage, reply...) {
		if len(stated) == 0 || stated[0] != s {
			stated = append(stated, s)
		}
	}
	if len(usage) == 0 || len(reply) == 0 || len(stated) != 1 {
		return Version{}, &Unsupported{
			Reason: "memcached's version is in doubt: the program does not state one version throughout",
			Seen:   []string{fmt.Sprintf("%q: %q", usageWord, usage), fmt.Sprintf("%q: %q", replyWord, reply)},
		}
	}
	v, ok := parseVersion(stated[0])
	if !ok {
		return Version{}, &Unsupported{
			Reason: fmt.Sprintf("memcached %s is not a released version (need >= %s and <= %s)", stated[0], oldest, newest),
		}
	}
	if v.Compare(oldest) < 0 || v.Compare(newest) > 0 {
		return v, &Unsupported{
			Reason: fmt.Sprintf("memcached %s is not supported (need >= %s and <= %s)", v, oldest, newest),
		}
	}
	return v, nil
}

// versions lists what follows word in the literals that consist of word and a version, each once.
func (m *image) versions(word string) []string {
	var found []string
	for _, s := range m.segments {
		if s.writable {
			continue
		}
		for at, next := 0, 0; len(found) < 16; at = next {
			i := bytes.Index(s.data[at:], []byte(word))
			if i < 0 {
				break
			}
			next = at + i + len(word)
			rest := s.data[next:min(len(s.data), next+longestVersion)]
			n := bytes.IndexByte(rest, 0)
			if n < 0 {
				continue
			}
			// Other sentences hold the word as well; a version starts with a digit and has no space in it.
			v := strings.TrimRight(string(rest[:n]), "\r\n")
			if v == "" || v[0] < '0' || v[0] > '9' || strings.ContainsFunc(v, unlikeVersion) || slices.Contains(found, v) {
				continue
			}
			found = append(found, v)
		}
	}
	return found
}

// unlikeVersion tells what stands in no version: spaces, a format's %, and what a terminal would take for a command.
func unlikeVersion(r rune) bool { return r <= ' ' || r > '~' || r == '%' }

func parseVersion(s string) (Version, bool) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return Version{}, false
	}
	var n [3]int
	for i, p := range parts {
		// ParseUint takes no sign; a leading zero is not how memcached writes numbers.
		u, err := strconv.ParseUint(p, 10, 16)
		if err != nil || (len(p) > 1 && p[0] == '0') {
			return Version{}, false
		}
		n[i] = int(u)
	}
	return Version{n[0], n[1], n[2]}, true
}
