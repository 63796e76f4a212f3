package meta

import "hash/crc32"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC-32C of an item of a dump: of its command up to the checksum, of its data, and of the
// commands behind that, which give it its marks (AppendMarks).
func Checksum(command, data, marks []byte) uint32 {
	sum := crc32.Update(crc32.Checksum(command, castagnoli), castagnoli, data)
	if len(marks) > 0 { // of few items
		sum = crc32.Update(sum, castagnoli, marks)
	}
	return sum
}
