package door

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	loadRequest    = `{"version":1,"op":"load"}`
	rejectsRequest = `{"version":1,"op":"load","rejects":true}`
	statusRequest  = `{"version":1,"op":"status"}`
	deleteRequest  = `{"version":1,"op":"delete","match":"*"}`
	deleteKeys     = `{"version":1,"op":"delete","keys":true}`
	dumpKeys       = `{"version":1,"op":"dump","keys":true}`
)

// rights returns n descriptors of f in one control message.
func rights(f interface{ Fd() uintptr }, n int) []byte {
	return unix.UnixRights(slices.Repeat([]int{int(f.Fd())}, n)...)
}

// files returns the descriptors of several files in one control message.
func files(files ...*os.File) []byte {
	var fds []int
	for _, f := range files {
		fds = append(fds, int(f.Fd()))
	}
	return unix.UnixRights(fds...)
}

// openAs opens a file in another way.
func openAs(t *testing.T, name string, flags int) *os.File {
	t.Helper()
	f, err := os.OpenFile(name, flags, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestReceive(t *testing.T) {
	f := file(t, "a\t1\n")
	name := filepath.Join(t.TempDir(), "rejects")
	out, path := openAs(t, name, os.O_CREATE|os.O_WRONLY), openAs(t, name, unix.O_PATH)
	reader, pipe, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	// A file that the collector closes would look like a leak.
	t.Cleanup(func() { reader.Close(); pipe.Close() })
	for _, test := range []struct {
		name    string
		data    string
		control []byte
		prepare func(t *testing.T, c *Call)
		code    string // "" if the request is to be accepted
		message string
		input   bool
	}{
		{name: "load", data: loadRequest, control: rights(f, 1), input: true},
		{name: "empty message with a descriptor", control: rights(f, 1), input: true},
		{name: "white space with a descriptor", data: "\n", control: rights(f, 1), input: true},
		{name: "zero byte with a descriptor", data: "\x00", control: rights(f, 1), input: true},
		{name: "status", data: statusRequest},
		{name: "longest request", data: loadRequest + strings.Repeat(" ", MaxRequest-len(loadRequest)), control: rights(f, 1), input: true},
		{
			name: "credentials before the descriptor", data: loadRequest, control: rights(f, 1), input: true,
			prepare: func(t *testing.T, c *Call) {
				if err := unix.SetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
					t.Fatal(err)
				}
			},
		},

		{name: "no descriptor", data: loadRequest, code: CodeDescriptor, message: "none came"},
		{name: "empty message alone", code: CodeDescriptor, message: "none came"},
		{name: "two descriptors", data: loadRequest, control: rights(f, 2), code: CodeDescriptor, message: "one descriptor, not several"},
		{name: "more than there is room for", data: loadRequest, control: rights(f, roomForControl/4), code: CodeDescriptor, message: "not several"},
		{name: "as many as the kernel takes", data: loadRequest, control: rights(f, 253), code: CodeDescriptor, message: "not several"},
		{name: "empty message with two", control: rights(f, 2), code: CodeDescriptor, message: "not several"},
		{name: "several control messages", data: loadRequest, control: slices.Concat(rights(f, 1), rights(f, 2)), code: CodeDescriptor, message: "not several"},
		{name: "rejects", data: rejectsRequest, control: files(f, out, out), input: true},
		{name: "rejects with two", data: rejectsRequest, control: files(f, out), code: CodeDescriptor, message: "takes 3 descriptors, and 2 came"},
		{name: "rejects with four", data: rejectsRequest, control: files(f, out, out, out), code: CodeDescriptor, message: "takes 3 descriptors, and more came"},
		{name: "rejects into what is only read", data: rejectsRequest, control: files(f, out, f), code: CodeDescriptor, message: "not open for writing"},
		{name: "rejects into a pipe", data: rejectsRequest, control: files(f, pipe, out), code: CodeDescriptor, message: "not a regular file"},
		{name: "rejects into a path", data: rejectsRequest, control: files(f, path, out), code: CodeDescriptor, message: "not open for writing"},
		{name: "delete", data: deleteRequest},
		{name: "delete without a condition", data: `{"version":1,"op":"delete"}`, code: CodeRequest, message: "no condition says which items"},
		{name: "delete with an empty condition", data: `{"version":1,"op":"delete","prefix":"","dry_run":true}`, code: CodeRequest, message: "no condition says which items"},
		{name: "touch without a condition", data: `{"version":1,"op":"touch","new_ttl":60}`, code: CodeRequest, message: "no condition says which items"},
		{name: "not UTF-8", data: "{\"version\":1,\"op\":\"delete\",\"prefix\":\"\xff\"}", code: CodeRequest, message: "not UTF-8"},
		{name: "delete with a descriptor", data: deleteRequest, control: rights(f, 1), code: CodeDescriptor, message: "op delete does not take a descriptor"},
		{name: "delete with keys", data: deleteKeys, control: rights(f, 1), input: true},
		{name: "touch with keys", data: `{"version":1,"op":"touch","new_ttl":1,"keys":true}`, control: rights(f, 1), input: true},
		{name: "delete with keys that do not come", data: deleteKeys, code: CodeDescriptor, message: "the op delete takes a descriptor, and none came"},
		{name: "delete with keys twice", data: deleteKeys, control: rights(f, 2), code: CodeDescriptor, message: "the op delete takes one descriptor, not several"},
		{name: "delete with keys in a directory", data: deleteKeys, control: rights(openAs(t, t.TempDir(), os.O_RDONLY), 1), code: CodeDescriptor, message: "is a directory"},
		{name: "delete with keys that are only written", data: deleteKeys, control: rights(out, 1), code: CodeDescriptor, message: "not open for reading"},
		{name: "dump with keys", data: dumpKeys, control: files(out, f), input: true},
		{name: "dump with keys that do not come", data: dumpKeys, control: files(out), code: CodeDescriptor,
			message: "the op dump with keys takes 2 descriptors, and 1 came"},
		{name: "dump with keys and more", data: dumpKeys, control: files(out, f, f), code: CodeDescriptor, message: "the op dump with keys takes 2 descriptors, and more came"},
		{name: "dump with keys that are only written", data: dumpKeys, control: files(out, out), code: CodeDescriptor, message: "not open for reading"},
		{name: "dump with keys into what is only read", data: dumpKeys, control: files(f, f), code: CodeDescriptor, message: "not open for writing"},
		{name: "status with a descriptor", data: statusRequest, control: rights(f, 1), code: CodeDescriptor, message: "op status does not take a descriptor"},
		{name: "status with many", data: statusRequest, control: rights(f, 9), code: CodeDescriptor, message: "op status does not take a descriptor"},
		{name: "version 2 with two descriptors", data: `{"version":2}`, control: rights(f, 2), code: CodeVersion, message: "speaks version 1"},
		{name: "not JSON with a descriptor", data: "get a", control: rights(f, 1), code: CodeRequest, message: "is not JSON"},
		{
			name: "truncated request with a descriptor", data: loadRequest + strings.Repeat(" ", MaxRequest), control: rights(f, 1),
			code: CodeRequest, message: "longer than 65536 bytes",
		},
		{
			name: "no descriptor free", data: loadRequest, control: rights(f, 1),
			prepare: func(t *testing.T, _ *Call) { limitOpenFiles(t, 0) },
			code:    CodeDescriptor, message: "too many open files in memcached",
		},
		{
			name: "no descriptor free for an empty message", control: rights(f, 1),
			prepare: func(t *testing.T, _ *Call) { limitOpenFiles(t, 0) },
			code:    CodeDescriptor, message: "too many open files in memcached",
		},
		{
			name: "one free, two sent", data: loadRequest, control: rights(f, 2),
			prepare: func(t *testing.T, _ *Call) { limitOpenFiles(t, 1) },
			code:    CodeDescriptor, message: "too many open files in memcached",
		},
		{
			name: "status and no descriptor free", data: statusRequest, control: rights(f, 1),
			prepare: func(t *testing.T, _ *Call) { limitOpenFiles(t, 0) },
			code:    CodeDescriptor, message: "too many open files in memcached",
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, client := pair(t)
			before := openFiles(t)
			send(t, client, test.data, test.control)
			var err error
			// A test of its own, so that what prepare changed is undone after it.
			t.Run("receive", func(t *testing.T) {
				if test.prepare != nil {
					test.prepare(t, c)
				}
				_, err = c.Receive()
			})
			if test.code != "" {
				wantError(t, err, test.code, test.message)
				noLeak(t, before)
				if c.Input != nil || c.Output != nil {
					t.Error("there is an input or an output after an error")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if (c.Input != nil) != test.input {
				t.Fatalf("input is %v", c.Input)
			}
			if test.input {
				sameFile(t, c.Input.fd, int(f.Fd()))
			}
			if c.Rejects != nil {
				sameFile(t, c.Rejects.fd, int(out.Fd()))
				sameFile(t, c.Reasons.fd, int(out.Fd()))
			}
			c.Close()
			noLeak(t, before)
		})
	}
}

// sameFile checks that two descriptors are of one open file description, and
// that the received one is closed by exec.
func sameFile(t *testing.T, got, want int) {
	t.Helper()
	if same, err := unix.FcntlInt(uintptr(got), unix.F_DUPFD_QUERY, want); err == nil && same != 1 {
		t.Errorf("descriptor %d is not the file that was sent", got)
	}
	var a, b unix.Stat_t
	if err := errors.Join(unix.Fstat(got, &a), unix.Fstat(want, &b)); err != nil || a.Dev != b.Dev || a.Ino != b.Ino {
		t.Errorf("descriptor %d is not the file that was sent (%v)", got, err)
	}
	if flags, err := unix.FcntlInt(uintptr(got), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor %d survives an exec (%v)", got, err)
	}
}

func TestReceiveFromNobody(t *testing.T) {
	for _, test := range []struct {
		name  string
		leave func(t *testing.T, c *Call, client int)
	}{
		{"closed", func(t *testing.T, _ *Call, client int) { hangUp(t, client) }},
		{"half-closed", func(_ *testing.T, _ *Call, client int) { unix.Shutdown(client, unix.SHUT_WR) }},
		{"closed with a message unread", func(t *testing.T, c *Call, client int) {
			if err := c.Finish(Reply{Load: &Load{}}); err != nil {
				t.Fatal(err)
			}
			hangUp(t, client)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, client := pair(t)
			test.leave(t, c, client)
			if _, err := c.Receive(); !errors.Is(err, ErrGone) {
				t.Errorf("error is %v, want ErrGone", err)
			}
		})
	}
}

func TestReceiveBeforeHangUp(t *testing.T) {
	f := file(t, "a\t1\n")
	c, client := pair(t)
	send(t, client, loadRequest, rights(f, 1))
	hangUp(t, client)
	if _, err := c.Receive(); err != nil {
		t.Fatalf("a request whose sender has left: %v", err)
	}
	if ready, err := c.Wait(false, -1, -1); err != nil || !ready.Gone {
		t.Errorf("Wait: %+v, %v", ready, err)
	}
}

func TestReceiveLimit(t *testing.T) {
	c, _ := pair(t)
	c.receiveWithin = 10 * time.Millisecond
	_, err := c.Receive()
	wantError(t, err, CodeRequest, "no request came within 10ms")
}

// For silent clients that are hurried one after the other the time runs out together.
func TestHurry(t *testing.T) {
	const silent = 40
	var calls []*Call
	errs := make(chan error, silent)
	for range silent {
		c, _ := pair(t)
		calls = append(calls, c)
	}
	began := time.Now()
	for _, c := range calls {
		go func() {
			_, err := c.Receive()
			errs <- err
		}()
	}
	for _, c := range calls { // server/places.go: awaitRoom
		c.Hurry()
		wantError(t, <-errs, CodeBusy, "no request came, and other clients are waiting")
	}
	if took := time.Since(began); took > silent*hurryLimit/2 {
		t.Errorf("%d clients have taken %v", silent, took)
	}
}

// A request that has come is received, also when others wait.
func TestHurryTooLate(t *testing.T) {
	c, client := pair(t)
	c.Hurry()
	send(t, client, statusRequest, nil)
	if _, err := c.Receive(); err != nil {
		t.Error(err)
	}
}

func TestPeer(t *testing.T) {
	c, _ := pair(t)
	want := Peer{PID: int32(unix.Getpid()), UID: uint32(unix.Geteuid()), GID: uint32(unix.Getegid())}
	if c.Peer != want {
		t.Errorf("peer is %+v, want %+v", c.Peer, want)
	}
}

func TestDescriptors(t *testing.T) {
	three := slices.Concat(unix.UnixRights(3), unix.UnixCredentials(&unix.Ucred{Pid: 1}), unix.UnixRights(4, 5))
	for _, test := range []struct {
		control []byte
		want    []int
	}{
		{nil, nil},
		{three, []int{3, 4, 5}},
		{three[:len(three)-8], []int{3}},
		{make([]byte, 7), nil},
		{make([]byte, 64), nil}, // a header that says it is 0 bytes long
	} {
		t.Run(fmt.Sprint(test.want, len(test.control)), func(t *testing.T) {
			if got := descriptors(test.control); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}
