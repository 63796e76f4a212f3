// Package host tells which memcached a program file is, and where in it the functions are that items are stored with.
//
// A memcached exports its functions, or keeps a symbol table, or has neither: distributions strip what they ship.  Find
// tries these in that order and takes the first route that yields every function.  Nothing is run and nothing is guessed:
// a file that leaves a doubt is refused, and the refusal carries what was seen.
package host

import (
	"errors"
	"fmt"
	"io"
)

// Route is the way on which the functions were found.
type Route string

// The routes, in the order in which Find tries them.
const (
	Exported Route = "exported" // the dynamic symbols
	Symtab   Route = "symtab"   // the symbol table
	Scan     Route = "scan"     // analysis of the code of a stripped file
)

// Functions are addresses as the program file states them (link-time virtual addresses); the load bias is added
// elsewhere, in one place.
type Functions struct {
	ItemAlloc      uint64 // item_alloc, or do_item_alloc, which has its signature
	StoreItem      uint64 // store_item
	ItemRemove     uint64 // item_remove
	ItemGet        uint64 // item_get
	ItemUnlink     uint64 // item_unlink
	ItemAllocChunk uint64 // do_item_alloc_chunk; 0 before 1.4.36, where there is none
	GetCASID       uint64 // get_cas_id; 0 before 1.6.27, where store_item takes none, and where it is inlined

	// Where get_cas_id is inlined: what it is made of, the mutex cas_id_lock and the uint64_t cas_id.  Else 0.
	CASIDLock, CASID uint64
}

// Facts is what a program file states about itself.  It holds for every process that runs the file.
type Facts struct {
	Version   Version
	BuildID   string // in hexadecimal, "" when the file has none
	Route     Route
	Functions Functions
}

// Unsupported says why a readable file is refused.
type Unsupported struct {
	Reason string   // one line
	Hint   string   // what a person can do about it, "" when there is nothing
	Seen   []string // what was seen where the match failed
}

func (u *Unsupported) Error() string { return u.Reason }

// Find reads the ELF program file of a memcached.  It does bounded work on any input.  A file that can be read but not
// used is refused with an *Unsupported; any other error is one of reading the file.
func Find(file io.ReaderAt) (facts *Facts, err error) {
	// The file decides every offset that is followed below.  Each is checked, and should one check be missing it must
	// not be memcached that ends.
	defer func() {
		if r := recover(); r != nil {
			facts, err = nil, &Unsupported{Reason: fmt.Sprintf("the program file is malformed: %v", r)}
		}
	}()
	p, err := open(file)
	if err != nil {
		return nil, err
	}
	version, err := findVersion(p.image)
	if err != nil {
		return nil, err
	}
	facts = &Facts{Version: version, BuildID: p.buildID()}
	var seen []string
	for _, r := range []struct {
		route Route
		find  func(Version) (Functions, error)
	}{{Exported, p.exported}, {Symtab, p.symtab}, {Scan, p.scan}} {
		facts.Functions, err = r.find(version)
		if err == nil {
			facts.Route = r.route
			return facts, nil
		}
		var u *Unsupported
		if !errors.As(err, &u) {
			return nil, fmt.Errorf("%s: %w", r.route, err)
		}
		seen = append(seen, fmt.Sprintf("%s: %s", r.route, u.Reason))
		seen = append(seen, u.Seen...)
	}
	// The scan comes last and knows most: its reason is the one that is given.
	return nil, &Unsupported{
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
	imports map[uint64]string // what the dynamic linker fills in: address of the slot -> name of the function
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
	return &program{
		image: m, machine: m.machine(), file: file, dyn: m.readDynamic(), bodies: make(map[uint64]*body), traces: make(map[uint64]*trace),
	}, nil
}
