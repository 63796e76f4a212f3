package meta

const (
	// latest is the latest date that the flags T and R can have.
	latest = "2147483647"
	// beforeLatest is the date before it.
	beforeLatest = "2147483646"
)

// AppendMarks appends the commands that make an item stale and won, behind the one that stores it. It appends nothing
// for an item that is neither, or if no command can have its key: such an item is not stored.
//
// "md" with the flag I makes an item stale. The token of a stale item is won by the first "mg" (proto_text.c:
// process_mget_command); that of another item by an "mg" whose flag R is a date after it expires. An item that does not
// expire gets a date to expire for that, and "T0" takes it away.
func AppendMarks(dst, key []byte, stale, won, expires bool) []byte {
	if stale {
		dst, _ = appendCommand(dst, "md ", key, " I q")
	}
	switch {
	case !won:
	case stale:
		dst, _ = appendCommand(dst, "mg ", key, " u")
	case expires:
		dst, _ = appendCommand(dst, "mg ", key, " u R"+latest)
	default:
		dst, _ = appendCommand(dst, "mg ", key, " u T"+beforeLatest+" R"+latest)
		dst, _ = appendCommand(dst, "mg ", key, " u T0")
	}
	return dst
}
