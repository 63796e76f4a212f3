package host

import "debug/elf"

// machine is what the analysis has to know of a processor and of how programs for it are made.  All the rest of this
// package speaks of inst, and of the operations that an instruction consists of.
type machine struct {
	registers int   // general ones, the stack pointer among them
	sp        reg   // the stack pointer
	args      []reg // where a function's first arguments are passed
	result    reg   // where its result is
	clobbered []reg // what a call leaves undefined
	above     int64 // from the stack pointer at entry to the first argument that is passed on the stack

	// Relocations of slots that the dynamic linker fills with a function's address.
	jumpSlot, globDat uint32

	// decode takes the instruction apart that code begins with; nil of a machine whose code is not analysed.
	decode func(code []byte, at uint64) (inst, error)
	// mentions tells what in code, which stands at an address, may refer to one of the wanted addresses, which are in
	// order.  It is no more than a hint: the decoded function decides.
	mentions func(code []byte, at uint64, wanted []uint64, fixed bool, found func(at, to uint64))
}

// machines are those whose programs can be used, on whatever machine this runs.
var machines = map[elf.Machine]*machine{elf.EM_X86_64: &amd64, elf.EM_AARCH64: &arm64}

// arm64 is known by its symbols alone: its code is not decoded.
var arm64 machine

// reg is the number of a general register.
type reg uint8

// maxRegisters is what no machine has more of.
const maxRegisters = 32
