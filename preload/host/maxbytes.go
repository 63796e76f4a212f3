package host

// What `stats` and `stats settings` call settings.maxbytes (memcached.c: server_stats, process_stat_settings).
var maxBytesLiterals = []string{"limit_maxbytes", "maxbytes"}

// maxBytes finds the variable settings.maxbytes, memcached's -m in bytes: what is passed to append_stat under its names
// (name, add_stats, c, format, value), everywhere the same.  It returns 0 where that is not seen.
func (p *program) maxBytes() uint64 {
	const name, number = 0, 4 // arguments
	users := &anchor{}
	wanted := make(map[uint64]*anchor)
	for _, literal := range maxBytesLiterals {
		for _, at := range p.literals(literal) {
			wanted[at] = users
		}
	}
	if p.references(wanted) != nil {
		return 0
	}
	var found uint64
	for _, f := range users.users {
		for _, c := range p.traced(f).calls {
			if c.args[name].kind != constant || wanted[uint64(c.args[name].n)] == nil {
				continue
			}
			v := c.args[number]
			if at := uint64(v.n); v.kind != global || v.size != 8 || !p.writable(at, 8) || found != 0 && found != at {
				return 0
			}
			found = uint64(v.n)
		}
	}
	return found
}
