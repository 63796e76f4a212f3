// Package host finds which memcached a program file is, and the addresses in it of the functions that store items.
//
// A memcached exports its functions, or has a symbol table, or has that in a debug file, or has none of these:
// distributions strip what they ship.  Find tries them in that order and takes the first route that finds every function.
// Nothing is run and nothing is guessed: a file that leaves a doubt is unsupported, for a reason and with what was seen.
package host

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Route is how the functions were found.
type Route string

// The routes, in the order in which Find tries them.
const (
	Exported Route = "exported" // the dynamic symbols
	Symtab   Route = "symtab"   // the symbol table
	Debug    Route = "debug"    // the symbol table that was taken out of the file: in a debug file, or compressed
	Scan     Route = "scan"     // analysis of the code of a stripped file
)

// Functions are addresses as the program file states them (link-time virtual addresses); package cache adds the load
// bias.
type Functions struct {
	ItemAlloc      uint64 // item_alloc, or do_item_alloc, which has its signature
	StoreItem      uint64 // store_item
	ItemRemove     uint64 // item_remove
	ItemGet        uint64 // item_get
	ItemUnlink     uint64 // item_unlink
	ItemAllocChunk uint64 // do_item_alloc_chunk; 0 before 1.4.36, which has none
	GetCASID       uint64 // get_cas_id; 0 before 1.6.27, whose store_item takes no CAS unique, and if it is inlined

	// If get_cas_id is inlined: what it uses, the mutex cas_id_lock and the uint64_t cas_id.  Else 0.
	CASIDLock, CASID uint64
}

// Table is what makes a load of many rows fast; it is optional.  What is not found is 0.
type Table struct {
	Hash             uint64 // hash, a pointer to a function
	AssocStartExpand uint64 // assoc_start_expand, since 1.5.20
	MaintenanceLock  uint64 // maintenance_lock, the mutex that it tries; held while the hash table grows
	MaxBytes         uint64 // settings.maxbytes, a size_t: memcached's -m in bytes
}

// Facts is what a program file states about itself.  It holds for every process that runs the file.
type Facts struct {
	Version     Version // the zero Version if the file states none that was released
	BuildID     string  // in hexadecimal, "" if the file has none
	Machine     elf.Machine
	Interpreter string   // the dynamic linker, "" if the program is linked statically
	Needed      []string // the libraries that the program names, in its order
	Route       Route    // "" if the functions are not found
	Functions   Functions
	Table       Table
}

// Needs reports whether the program is linked against a library whose name begins with library.
func (f *Facts) Needs(library string) bool {
	return slices.ContainsFunc(f.Needed, func(name string) bool { return strings.HasPrefix(name, library) })
}

// Unsupported is the reason for which a readable file is not supported.
type Unsupported struct {
	Reason string   // one line
	Hint   string   // what can be done about it, or ""
	Seen   []string // what was seen instead of what was expected
}

func (u *Unsupported) Error() string { return u.Reason }

// Find reads the ELF program file of a memcached, and what it needs of the program's debug files.  Its work is limited for
// any input.  For a file that can be read but not used the error is an *Unsupported, and if it is a memcached
// nevertheless, the known facts are returned, too; any other error is one of reading the file.
func Find(file io.ReaderAt, debug DebugFiles) (facts *Facts, err error) {
	// The file decides every offset that is followed below.  Each is checked, and should one check be missing it must
	// not be memcached that ends.
	defer func() {
		if r := recover(); r != nil {
			err = &Unsupported{Reason: fmt.Sprintf("the program file is malformed: %v", r)}
		}
	}()
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	facts = &Facts{BuildID: p.buildID(), Machine: elf.Machine(p.header.Machine), Interpreter: p.interpreter(), Needed: p.needed()}
	if reason := p.foreign(facts); reason != "" {
		return nil, &Unsupported{Reason: "this is not memcached: " + reason}
	}
	version, err := findVersion(p.image)
	facts.Version = version
	if u := otherMachine(facts.Machine); u != nil {
		return facts, u
	}
	if err != nil {
		return facts, err
	}
	var seen []string
	for _, r := range []struct {
		route Route
		find  func(Version) (Functions, error)
	}{
		{Exported, p.exported}, {Symtab, p.symtab},
		{Debug, func(v Version) (Functions, error) { return p.debug(v, debug) }},
		{Scan, p.scan},
	} {
		facts.Functions, err = r.find(version)
		if err == nil {
			facts.Route = r.route
			facts.Table = p.table(facts.Functions.StoreItem, version.ABI())
			return facts, nil
		}
		var u *Unsupported
		if !errors.As(err, &u) {
			return facts, fmt.Errorf("%s: %w", r.route, err)
		}
		seen = append(seen, fmt.Sprintf("%s: %s", r.route, u.Reason))
		seen = append(seen, u.Seen...)
	}
	// The scan comes last and knows most: its reason is the one that is given.
	return facts, &Unsupported{
		Reason: fmt.Sprintf("memcached %s: %s", version, err.Error()),
		Hint:   "a memcached that is built without strip, or with --enable-proxy, tells where its functions are",
		Seen:   seen,
	}
}

// program is a memcached's file under examination.
type program struct {
	*image
	*machine
	file    io.ReaderAt
	dyn     dynamic
	needs   []uint64          // the libraries' names, in the table of dynamic strings
	imports map[uint64]string // what the dynamic linker fills in: address of the slot -> name of the function
	relro   map[uint64]int64  // addresses in the program that it puts into read-only memory, by where
	funcs   []function        // sorted by address; read by scan
	bodies  map[uint64]*body
	traces  map[uint64]*trace
	insts   int // decoded so far
	work    int // done so far to trace them
}

func open(file io.ReaderAt) (*program, error) {
	m, err := readImage(file)
	if err != nil {
		return nil, err
	}
	p := &program{image: m, machine: m.machine(), file: file, bodies: make(map[uint64]*body), traces: make(map[uint64]*trace)}
	p.dyn, p.needs = m.readDynamic()
	return p, nil
}

// foreign is the reason for which a program is not memcached, or "". memcached has libevent and the literals that
// startup/program.c searches the process for, and states a version.
func (p *program) foreign(facts *Facts) string {
	if !facts.Needs("libevent") && len(p.literals("EVENT_SHOW_METHOD")) == 0 {
		return "it has no libevent, neither shared nor static"
	}
	for _, literal := range []string{"MEMCACHED_PORT_FILENAME", "listen_disabled_num"} {
		if len(p.literals(literal)) == 0 {
			return fmt.Sprintf("it has no literal %q", literal)
		}
	}
	if len(p.versions(usageWord)) == 0 && len(p.versions(replyWord)) == 0 {
		return "it states no version"
	}
	return ""
}

const maxPath = 4096 // limits.h: PATH_MAX

// interpreter returns the path of the dynamic linker, "" when there is none.
func (m *image) interpreter() string {
	_, path := m.prog(elf.PT_INTERP)
	return cString(path, maxPath)
}

// needed lists the libraries that the dynamic linker is to load.
func (p *program) needed() []string {
	strings := p.bytes(p.dyn[elf.DT_STRTAB], p.dyn[elf.DT_STRSZ])
	var list []string
	for _, at := range p.needs {
		if at < uint64(len(strings)) {
			list = append(list, cString(strings[at:], maxPath))
		}
	}
	return list
}
