package dump

// Match says that a key is like a pattern, in which * stands for any bytes and ? for one. The
// pattern "" is like every key.
func Match(pattern string, key []byte) bool {
	if pattern == "" {
		return true
	}
	// It goes back to the last star only: what an earlier one stands for could be shorter without
	// any loss.
	at, star, from := 0, -1, 0 // in the pattern; its last star, and where in the key that ends
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
