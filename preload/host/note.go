package host

import (
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
)

const ntGNUBuildID = 3 // elf.h: NT_GNU_BUILD_ID

// buildID reads the linker's build ID out of the note segments, in hexadecimal; "" when there is none.
func (m *image) buildID() string {
	for _, p := range m.progs {
		if elf.ProgType(p.Type) != elf.PT_NOTE {
			continue
		}
		if id := buildID(m.bytes(p.Vaddr, p.Filesz), p.Align); id != "" {
			return id
		}
	}
	return ""
}

// buildID returns the build ID among notes, "" when it is not.
func buildID(notes []byte, align uint64) string {
	// elf(5): names and descriptors are padded to the segment's alignment, which is 4 unless it is 8.
	if align != 8 {
		align = 4
	}
	for len(notes) >= 12 {
		namesz := uint64(binary.LittleEndian.Uint32(notes))
		descsz := uint64(binary.LittleEndian.Uint32(notes[4:]))
		kind := binary.LittleEndian.Uint32(notes[8:])
		desc := 12 + (namesz+align-1)&^(align-1)
		if align == 8 {
			desc = (12 + namesz + 7) &^ 7
		}
		end := desc + descsz
		if end > uint64(len(notes)) {
			break
		}
		if kind == ntGNUBuildID && string(notes[12:12+namesz]) == "GNU\x00" && descsz <= 64 {
			return hex.EncodeToString(notes[desc:end])
		}
		next := (end + align - 1) &^ (align - 1)
		notes = notes[min(next, uint64(len(notes))):]
	}
	return ""
}
