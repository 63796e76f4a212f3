package e2e

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/door"
)

// A pending call has not ended yet, as far as is known.
type pending struct {
	*door.Conn
	ended chan error // its end; an *door.Error if it failed
}

// begin begins a call; the caller closes it.
func (s *server) begin(request door.Request, files ...*os.File) pending {
	s.t.Helper()
	conn, err := door.Dial(s.door)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Version = door.Protocol
	if err := conn.Call(request, files...); err != nil {
		s.t.Fatal(err)
	}
	p := pending{conn, make(chan error, 1)}
	go func() {
		_, err := conn.Next()
		p.ended <- err
	}()
	return p
}

// refused says whether the call has ended because others are under way; any other end fails the test.
func (p pending) refused(t *testing.T) bool {
	t.Helper()
	select {
	case err := <-p.ended:
		if e, ok := errors.AsType[*door.Error](err); !ok || e.Code != door.CodeBusy {
			t.Fatalf("the call ended: %v", err)
		}
		return true
	default:
		return false
	}
}

// within is how many of memcached's threads are in a system call (proc(5): syscall).
func (s *server) within(call int) (n int) {
	s.t.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/syscall", s.pid()))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, task := range tasks {
		if text, err := os.ReadFile(task); err == nil && strings.HasPrefix(string(text), fmt.Sprint(call, " ")) {
			n++
		}
	}
	return n
}

// statusSoon asks for the status, which must not take long, whatever runs.
func (s *server) statusSoon() door.Status {
	s.t.Helper()
	began := time.Now()
	reply, err := call(s.door, door.Request{Op: door.OpStatus})
	if err != nil || reply.Status == nil || time.Since(began) > waitLimit/3 {
		s.t.Fatalf("%+v, %v after %v", reply, err, time.Since(began))
	}
	return *reply.Status
}

// A file that does not answer keeps no call's place, and no more threads and descriptors than there are bounds for,
// whichever of its system calls it is; the door serves what is no file, and all when the file answers again.
//
// It does not run in parallel with others: a process that one of them starts would close its copies of the file before it is
// another program, for which this process waits, and this process serves the file.
func TestStalledFile(t *testing.T) {
	const rows = "key\tvalue\nbad\n"
	for _, test := range []struct {
		name    string
		op      uint32
		call    int // the system call
		request door.Request
		mode    int
	}{
		{"fstat", fuseGetattr, unix.SYS_FSTAT, door.Request{Op: door.OpLoad}, os.O_RDONLY},
		{"read", fuseRead, unix.SYS_READ, door.Request{Op: door.OpLoad}, os.O_RDONLY},
		{"write", fuseWrite, unix.SYS_WRITE, door.Request{Op: door.OpDump}, os.O_WRONLY},
		{"rejects", fuseWrite, unix.SYS_WRITE, door.Request{Op: door.OpLoad, Rejects: true}, os.O_WRONLY},
		{"close", fuseFlush, unix.SYS_CLOSE, door.Request{Op: door.OpLoad}, os.O_RDONLY},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := start(t, stock(t))
			most := 51 // of a memcached with 1024 connections
			file := newSlowFile(t, []byte(rows))
			s.load(door.Request{}, []byte("there\tv\n"))
			threads, descriptors := s.count("task"), s.descriptors()
			var files []*os.File
			for range 3 * most { // each with a description of its own: the offset of one is locked while it is read
				files = append(files, file.open(t, test.mode))
			}
			defer func() {
				file.stall(false, test.op)
				for _, slow := range files {
					slow.Close()
				}
			}()
			file.stall(true, test.op)
			refused := 0
			for _, slow := range files {
				passed := []*os.File{slow}
				if test.request.Rejects {
					passed = []*os.File{fileOf(t, []byte(rows)), slow, slow}
				}
				before := s.within(test.call)
				conn := s.begin(test.request, passed...)
				busy := false
				wait(t, "a request that stalls", func() error {
					if test.op == fuseFlush { // the only one that comes when the call is over
						select {
						case err := <-conn.ended:
							if err == nil {
								return nil
							}
							conn.ended <- err
						default:
							return errors.New("it has no end")
						}
					}
					if busy = conn.refused(t); !busy && s.within(test.call) <= before {
						return fmt.Errorf("%d wait", before)
					}
					return nil
				})
				if busy {
					refused++
				}
				conn.Close()
				s.statusSoon()
			}
			if refused == 0 {
				t.Error("no call was refused")
			}
			if now := s.count("task"); now > threads+most+30 {
				t.Errorf("%d threads, %d before", now, threads)
			}
			if now := s.descriptors(); now > descriptors+most+30 {
				t.Errorf("%d descriptors, %d before", now, descriptors)
			}
			if test.op != fuseFlush { // what is refused must be closed, too: in the end no descriptor is let in
				if l := s.loadFile(door.Request{}, pipeOf(t, []byte("k\tv\n"))); l.Stored != 1 {
					t.Errorf("%+v", l)
				}
			}
			file.stall(false, test.op)
			wait(t, "threads and descriptors that were left behind", func() error {
				if t, d := s.count("task"), s.count("fd"); t > threads+5 || d > descriptors {
					return fmt.Errorf("%d threads, %d descriptors; %d, %d before", t, d, threads, descriptors)
				}
				return nil
			})
			if l, err := call(s.door, door.Request{Op: door.OpLoad}, fileOf(t, []byte("k\tv\n"))); err != nil || l.Load == nil || l.Load.Stored != 1 {
				t.Errorf("%+v, %v", l, err)
			}
		})
	}
}

// The status is answered when all places are taken, and while others connect and say nothing.
func TestStatusAlways(t *testing.T) {
	eachShape(t, func(t *testing.T, h shape) {
		s := start(t, h.program)
		var conns []pending
		for busy := false; !busy; {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer w.Close()
			conn := s.begin(door.Request{Op: door.OpLoad}, r)
			r.Close()
			conns = append(conns, conn)
			if len(conns) > 200 {
				t.Fatal("all calls find a place")
			}
			wait(t, "the call", func() error {
				if busy = conn.refused(t); !busy && s.statusSoon().Active != len(conns) {
					return errors.New("it has not begun")
				}
				return nil
			})
		}
		var silent []net.Conn
		for range 100 { // those that are there at once have their moment at the same time
			silent = append(silent, knock(s))
		}
		s.statusSoon()
		for _, conn := range silent {
			conn.Close()
		}
		for _, conn := range conns {
			conn.Close()
		}
		s.waitServing()
	})
}
