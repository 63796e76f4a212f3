package host

import (
	"debug/elf"
	"fmt"
	"iter"
	"path"
	"strings"
)

const machineNames = "x86-64 and aarch64"

// otherMachine returns the reason against a machine that the library is not built for; nil for any other.
func otherMachine(m elf.Machine) *Unsupported {
	if machines[m] != nil {
		return nil
	}
	return &Unsupported{Reason: fmt.Sprintf("the program is for the machine %v; only %s are supported", m, machineNames)}
}

// Preloadable returns the reason for which the library cannot be loaded into the program at all, or nil.  Loading it is up to the
// dynamic linker (ld.so(8): LD_PRELOAD), and the library needs glibc's.
func (f *Facts) Preloadable() *Unsupported {
	if u := otherMachine(f.Machine); u != nil {
		return u
	}
	switch {
	case f.Interpreter == "":
		return &Unsupported{
			Reason: "the program is linked statically: it has no dynamic linker, which is what would load the library",
			Hint:   "build memcached with shared libraries, or take a distribution's",
		}
	case !strings.HasPrefix(path.Base(f.Interpreter), "ld-linux"):
		return &Unsupported{
			Reason: fmt.Sprintf("the program's dynamic linker is %q, and the library needs glibc's", f.Interpreter),
			Hint:   "take a memcached that is built for glibc: Alpine's is built for musl, Debian's and Fedora's are not",
		}
	}
	return nil
}

// ByName yields what was found of what a version stores items with, by memcached's names, and its addresses.
func (f *Functions) ByName(v Version) iter.Seq2[string, uint64] {
	return func(yield func(string, uint64) bool) {
		list := append(f.wanted(v.ABI()), want{"cas_id_lock", "", &f.CASIDLock}, want{"cas_id", "", &f.CASID})
		for _, w := range list {
			if *w.into != 0 && !yield(w.name, *w.into) {
				return
			}
		}
	}
}
