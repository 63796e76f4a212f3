package host

// inst is a decoded instruction.
type inst struct {
	at   uint64
	size uint8
	flow flow
	goal uint64  // where it jumps or what it calls, if it states that
	via  operand // what has the address else
	ops  []op    // what it does besides, in order
}

// flow is what an instruction does to the order in which instructions run.
type flow uint8

const (
	onward  flow = iota // the next one follows
	branch              // the next one or another one
	jump                // another one
	calling             // a function, then the next one
	ret                 // the function ends
	trap                // the program ends
	foreign             // no program has it: something else than a program's own code was read
)

func (i *inst) end() uint64 { return i.at + uint64(i.size) }

// target is where a jump or a call goes, if it states that.
func (i *inst) target() (uint64, bool) {
	return i.goal, i.via.kind == absent && (i.flow == branch || i.flow == jump || i.flow == calling)
}

// ends tells whether an instruction is the last of a block.
func (i *inst) ends() bool { return i.flow != onward && i.flow != calling && i.flow != foreign }

// op is one thing that an instruction does with values.
type op struct {
	operation
	dst       operand
	src       [3]operand
	readsFlag bool // the result depends on the processor's flags
	setsFlags bool // these depend on the sources
}

// operation says which.
type operation uint8

const (
	other     operation = iota // the destination is computed from the sources
	add                        // so it is
	or                         // so it is
	increment                  // so it is
	move                       // the destination becomes the source, perhaps narrower or wider
	address                    // the destination becomes the source's address
	exchange                   // the destination and the source change places
	compare                    // there is no destination
	forget                     // the destination becomes unknown
)

// operand is what an operation reads or writes.
type operand struct {
	kind  operandKind
	size  uint8 // in bytes; 0 of an immediate
	high  bool  // a register's bytes are not its lowest ones
	reg   reg   // the register, or the one that an address in memory counts from
	index reg   // is added to an address in memory
	n     int64 // the immediate, or the distance in memory
}

type operandKind uint8

const (
	absent    operandKind = iota
	elsewhere             // a register that is not followed
	immediate
	register
	absolute // memory at the address n
	based    // memory at reg+n
	indexed  // memory at reg+index+n, or a multiple of index
	untold   // memory at an address that is not followed
)

func (o operand) inMemory() bool { return o.kind >= absolute }
