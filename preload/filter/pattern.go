package filter

// Match reports whether a key matches a pattern, in which * matches any bytes and ? one. The
// pattern "" matches every key.
func Match(pattern string, key []byte) bool {
	if pattern == "" {
		return true
	}
	// It backtracks to the last star only: an earlier one never has to match more.
	at, star, from := 0, -1, 0 // offset in the pattern; its last star, and the end of what that matches in the key
	for i := 0; i < len(key); {
		switch {
		case at < len(pattern) && pattern[at] == '*':
			star, from = at, i
			at++
		case at < len(pattern) && (pattern[at] == '?' || pattern[at] == key[i]):
			at++
			i++
		case star >= 0:
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(pattern) && pattern[at] == '*' {
		at++
	}
	return at == len(pattern)
}
