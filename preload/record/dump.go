package record

import (
	"bytes"
	"hash/crc32"
	"strconv"
)

// What can be wrong with an item of a dump, besides what can be with a command.
const (
	NoChecksum  Reason = "no checksum: not an item of a dump"
	BadChecksum Reason = "the checksum is another: the item is damaged"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// dumped are the commands of a dump (package dump): each has a checksum of itself and its data,
// and behind the last there is "mn".
type dumped struct {
	commands
	complete bool
}

func (d *dumped) parse(content []byte, row *Row) Kind {
	line := content[:min(d.content, len(content))]
	switch string(line) {
	case "":
		return Nothing
	case "mn":
		d.complete = true
		return Nothing
	}
	d.complete = false
	head := parseCommand(line)
	if !head.meta {
		return row.reject(NoChecksum, 0)
	}
	// Before anything else is believed, such as that it has expired.
	at, sum, ok := checksum(line)
	if !ok {
		return row.reject(NoChecksum, 0)
	}
	if head.length < 0 {
		return row.reject(BadCommand, 0)
	}
	if len(content) != d.line+head.length {
		return row.reject(BadChunk, d.line)
	}
	if crc32.Update(crc32.Checksum(line[:at], castagnoli), castagnoli, content[d.line:]) != sum {
		return row.reject(BadChecksum, 0)
	}
	return d.commands.parse(content, row)
}

// cut believes nothing of a row whose checksum is not to be had: not even whose old value it takes out.
func (d *dumped) cut(_ []byte, row *Row) Kind {
	d.complete = false
	return row.reject(TooLong, 0)
}

// checksum finds it in a command: at is where the command ends of which it is. Nothing but " q" is
// behind it, for that would be believed, too.
func checksum(line []byte) (at int, sum uint32, ok bool) {
	const form = " O01234567 q"
	if at = len(line) - len(form); at < 0 || !bytes.HasPrefix(line[at:], []byte(" O")) || !bytes.HasSuffix(line, []byte(" q")) {
		return 0, 0, false
	}
	n, err := strconv.ParseUint(string(line[at+2:at+10]), 16, 32)
	return at, uint32(n), err == nil
}

// Incomplete says that the end of the input is not that of a dump.
func (p *Parser) Incomplete() bool {
	d, ok := p.format.(*dumped)
	return ok && !d.complete
}
