package meta

const (
	// never is a date later than any item's: "T" and "R" take none that is later.
	never = "2147483647"
	// late is a date before it.
	late = "2147483646"
)

// AppendMarks appends the commands that give an item its marks, stale and won, behind the one that has
// stored it without; nothing, if it has none, or if no command can have its key: then there is no item.
//
// An item becomes stale by "md" with the flag I. A stale one's token goes to the first "mg" (proto_text.c:
// process_mget_command); that of another goes to one that finds it to expire before the date of its flag R.
// One that does not expire gets a date for that, which "T0" takes away again.
func AppendMarks(dst, key []byte, stale, won, expires bool) []byte {
	if stale {
		dst, _ = appendCommand(dst, "md ", key, " I q")
	}
	switch {
	case !won:
	case stale:
		dst, _ = appendCommand(dst, "mg ", key, " u")
	case expires:
		dst, _ = appendCommand(dst, "mg ", key, " u R"+never)
	default:
		dst, _ = appendCommand(dst, "mg ", key, " u T"+late+" R"+never)
		dst, _ = appendCommand(dst, "mg ", key, " u T0")
	}
	return dst
}
