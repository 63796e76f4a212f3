package host

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/clip"
)

// Bounds on debug files; that of memcached 1.6.45 has 0.8 MB, and its .gnu_debugdata 6 kB.
const (
	maxDebugFile = 256 << 20
	maxDebugData = 1 << 20
)

// DebugFiles tells where a program's debug files are looked for, as gdb does ("Separate Debug Files" in its manual).  The
// zero value is nowhere.
type DebugFiles struct {
	Program string // the program's absolute path without symbolic links; "" when it is not known
	Root    string // the global debug directory
}

// DebugFilesOf is where distributions install them.
func DebugFilesOf(program string) DebugFiles {
	return DebugFiles{Program: program, Root: "/usr/lib/debug"}
}

// debug takes the functions from the symbol table that was taken out of the program: into a separate file, which is known
// by the program's build ID or named by its .gnu_debuglink, or, compressed, into .gnu_debugdata.
func (p *program) debug(v Version, where DebugFiles) (Functions, error) {
	refused := &Unsupported{Reason: "no debug file or data names the functions"}
	try := func(place string, read func() ([]symbol, error)) (f Functions, found bool) {
		list, err := guarded(read)
		if err == nil {
			f, err = p.named(list, v)
		}
		if err != nil {
			refused.Seen = append(refused.Seen, fmt.Sprintf("%s: %v", place, err))
		}
		return f, err == nil
	}
	if path := where.byBuildID(p.buildID()); path != "" {
		if f, ok := try(path, func() ([]symbol, error) { return p.separate(path, nil) }); ok {
			return f, nil
		}
	}
	s, err := readSections(p.file, &p.header)
	if err != nil {
		refused.Seen = append(refused.Seen, err.Error())
		return Functions{}, refused
	}
	link, err := s.debugLink()
	if err != nil {
		refused.Seen = append(refused.Seen, fmt.Sprintf("%s: %v", debugLinkName, err))
	}
	for _, path := range where.byLink(link) {
		if f, ok := try(path, func() ([]symbol, error) { return p.separate(path, link) }); ok {
			return f, nil
		}
	}
	if f, ok := try(debugDataName, func() ([]symbol, error) { return p.debugData(s) }); ok {
		return f, nil
	}
	return Functions{}, refused
}

// guarded turns a panic over one debug file into an error of that file.
func guarded(read func() ([]symbol, error)) (list []symbol, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = malformed("%v", r)
		}
	}()
	return read()
}

// byBuildID returns the path of the file that is known by a build ID, "" when there can be none.
func (d DebugFiles) byBuildID(id string) string {
	if d.Root == "" || len(id) < 4 {
		return ""
	}
	return filepath.Join(d.Root, ".build-id", id[:2], id[2:]+".debug")
}

// byLink returns the paths at which the file that a link names can be.
func (d DebugFiles) byLink(link *debugLink) []string {
	if d.Program == "" || link == nil {
		return nil
	}
	dir := filepath.Dir(d.Program)
	places := []string{filepath.Join(dir, link.name), filepath.Join(dir, ".debug", link.name)}
	if d.Root != "" {
		places = append(places, filepath.Join(d.Root, dir, link.name))
	}
	return places
}

const (
	debugLinkName = ".gnu_debuglink"
	debugDataName = ".gnu_debugdata"
)

var errNoSection = errors.New("the program has no such section")

// debugLink is what .gnu_debuglink holds: a file's name and the CRC-32 of all of it.
type debugLink struct {
	name string
	crc  uint32
}

func (s *sections) debugLink() (*debugLink, error) {
	h := s.named(debugLinkName)
	if h == nil {
		return nil, errNoSection
	}
	data, err := s.data(h, maxPath, "it")
	if err != nil {
		return nil, err
	}
	link := &debugLink{name: cString(data, maxName)}
	at := (len(link.name) + 4) &^ 3 // the name, a zero byte, and zeros up to a multiple of four
	if len(data) < at+4 || link.name == "" || link.name == "." || link.name == ".." || strings.Contains(link.name, "/") {
		return nil, fmt.Errorf("it names no file: %s", clip.Quote(data))
	}
	link.crc = binary.LittleEndian.Uint32(data[at:])
	return link, nil
}

// separate reads the symbols out of a debug file.  link is nil for one that is known by its build ID.
func (p *program) separate(path string, link *debugLink) ([]symbol, error) {
	file, err := OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	s, same, err := p.counterpart(file)
	if err != nil {
		return nil, err
	}
	if link == nil && !same {
		return nil, errors.New("it has no build ID")
	}
	if link != nil {
		if err := checkCRC(file, link.crc); err != nil {
			return nil, err
		}
	}
	return s.symtab()
}

// debugData reads the symbols out of .gnu_debugdata.
func (p *program) debugData(s *sections) ([]symbol, error) {
	h := s.named(debugDataName)
	if h == nil {
		return nil, errNoSection
	}
	packed, err := s.data(h, maxDebugData, "it")
	if err != nil {
		return nil, err
	}
	file, err := unxz(packed)
	if err != nil {
		return nil, err
	}
	inner, _, err := p.counterpart(bytes.NewReader(file))
	if err != nil {
		return nil, err
	}
	return inner.symtab()
}

// counterpart reads the sections of a debug file, and refuses one of another program.  same tells whether both have the
// same build ID.  Whether the symbols lie in this program's code is seen to where they are taken by their names.
func (p *program) counterpart(file io.ReaderAt) (s *sections, same bool, err error) {
	h, err := readHeader(file)
	if err != nil {
		return nil, false, err
	}
	if h.Machine != p.header.Machine || h.Type != p.header.Type {
		return nil, false, fmt.Errorf("it is of another program: %v, %v", elf.Machine(h.Machine), elf.Type(h.Type))
	}
	if s, err = readSections(file, h); err != nil {
		return nil, false, err
	}
	id, err := s.buildID()
	if err != nil {
		return nil, false, err
	}
	want := p.buildID()
	if id != "" && want != "" && id != want {
		return nil, false, fmt.Errorf("it is of another program: its build ID is %s", id)
	}
	return s, id != "" && id == want, nil
}

// checkCRC reads all of a file, as .gnu_debuglink wants it.
func checkCRC(file *os.File, want uint32) error {
	info, err := file.Stat()
	if err != nil {
		return bare(err)
	}
	if info.Size() > maxDebugFile {
		return fmt.Errorf("it has %d bytes, more than %d MiB", info.Size(), maxDebugFile>>20)
	}
	crc := crc32.NewIEEE()
	if _, err := io.Copy(crc, io.NewSectionReader(file, 0, maxDebugFile)); err != nil {
		return bare(err)
	}
	if crc.Sum32() != want {
		return fmt.Errorf("its CRC is %#08x, not %#08x", crc.Sum32(), want)
	}
	return nil
}

// OpenRegular opens a regular file for reading, through symbolic links: Fedora's files by build ID are some.  Anything
// else is not even opened: that can hold us up or change it.
func OpenRegular(path string) (*os.File, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, bare(err)
	}
	if !info.Mode().IsRegular() {
		return nil, irregular(info)
	}
	// It may have been replaced since: a FIFO may have no writer, and a terminal must not become the controlling one.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, bare(err)
	}
	if info, err = file.Stat(); err == nil && !info.Mode().IsRegular() {
		err = irregular(info)
	}
	if err != nil {
		file.Close()
		return nil, bare(err)
	}
	return file, nil
}

func irregular(info fs.FileInfo) error {
	if info.IsDir() {
		return unix.EISDIR
	}
	return fmt.Errorf("not a regular file (%v)", info.Mode())
}

// bare takes the path off an error, which is said before it.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
