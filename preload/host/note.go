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
		// elf(5): names and descriptors are padded to the segment's alignment, which is 4 unless it is 8.
		align := uint64(4)
		if p.Align == 8 {
			align = 8
		}
		data := m.bytes(p.Vaddr, p.Filesz)
		for len(data) >= 12 {
			namesz := uint64(binary.LittleEndian.Uint32(data))
			descsz := uint64(binary.LittleEndian.Uint32(data[4:]))
			kind := binary.LittleEndian.Uint32(data[8:])
			desc := 12 + (namesz+align-1)&^(align-1)
			if align == 8 {
				desc = (12 + namesz + 7) &^ 7
			}
			end := desc + descsz
			if end > uint64(len(data)) {
				break
			}
			if kind == ntGNUBuildID && string(data[12:12+namesz]) == "GNU\x00" && descsz <= 64 {
				return hex.EncodeToString(data[desc:end])
			}
			next := (end + align - 1) &^ (align - 1)
			data = data[min(next, uint64(len(data))):]
		}
	}
	return ""
}
