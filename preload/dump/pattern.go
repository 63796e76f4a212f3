package dump

// A pattern is one of keys: * stands for any bytes, ? for one.
type pattern struct{ text string }

// newPattern makes a pattern; "" matches every key, and is nil.
func newPattern(text string) *pattern {
	if text == "" {
		return nil
	}
	return &pattern{text}
}

// matches goes back to the last star only: what an earlier one stands for could be shorter
// without any loss.
func (p *pattern) matches(key []byte) bool {
	if p == nil {
		return true
	}
	at, star, from := 0, -1, 0 // in the pattern; its last star, and where in the key that ends
	for i := 0; i < len(key); {
		switch {
		case at < len(p.text) && p.text[at] == '*':
			star, from = at, i
			at++
		case at < len(p.text) && (p.text[at] == '?' || p.text[at] == key[i]):
			at++
			i++
		case star >= 0:
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(p.text) && p.text[at] == '*' {
		at++
	}
	return at == len(p.text)
}
