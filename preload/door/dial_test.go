package door

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestDialError(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := os.WriteFile(at("file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(at("file"), at("link")); err != nil {
		t.Fatal(err)
	}
	unix.Close(listening(t, unix.SOCK_SEQPACKET, at("stale")))
	must(t, listening(t, unix.SOCK_STREAM, at("stream")), nil)
	for _, test := range []struct {
		name, path string
		want       error
	}{
		{"nothing", at("nothing"), ErrNoDoor},
		{"below a file", at("file/door"), ErrNoDoor},
		{"stale", at("stale"), ErrStale},
		{"file", at("file"), ErrNotDoor},
		{"link to a file", at("link"), ErrNotDoor},
		{"directory", dir, ErrNotDoor},
		{"stream socket", at("stream"), ErrNotDoor},
		{"empty", "", ErrPath},
		{"zero byte", "a\x00b", ErrPath},
		{"longest", strings.Repeat("x", 107), ErrNoDoor},
		{"too long", strings.Repeat("x", 108), ErrPath},
		{"not abstract", "@memcached", ErrNoDoor},
	} {
		t.Run(test.name, func(t *testing.T) {
			before := openFiles(t)
			_, err := Dial(test.path)
			if !errors.Is(err, test.want) {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			noLeak(t, before)
		})
	}
}

// connected dials a door and returns both ends.
func connected(t *testing.T) (*Conn, *Call) {
	t.Helper()
	l, path := listen(t)
	conn, err := Dial(path)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(); c.Close() })
	return conn, c
}

func TestConversation(t *testing.T) {
	conn, c := connected(t)
	f := file(t, "a\t1\n")
	if err := conn.Call(Request{Version: Protocol, Op: OpLoad, Rows: Rows{TTL: 60}, Progress: true}, f); err != nil {
		t.Fatal(err)
	}
	f.Close() // the message has a descriptor of its own
	req, err := c.Receive()
	if err != nil {
		t.Fatal(err)
	}
	if want := (Request{Version: Protocol, Op: OpLoad, Rows: Rows{TTL: 60}, Progress: true}); req != want {
		t.Errorf("request is %+v, want %+v", req, want)
	}
	p := make([]byte, 8)
	if n, err := c.Input.Read(p); err != nil || string(p[:n]) != "a\t1\n" {
		t.Errorf("read %q, %v", p[:n], err)
	}
	c.Progress(Reply{Load: &Load{Rows: 1, Stored: 1}})
	if r, err := conn.Next(); err != nil || r.Type != TypeProgress || r.Load.Rows != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := conn.Cancel(); err != nil {
		t.Fatal(err)
	}
	if ready, err := c.Wait(false, -1, -1); err != nil || !ready.Gone {
		t.Errorf("Wait: %+v, %v", ready, err)
	}
	if err := c.Finish(Reply{Load: &Load{Rows: 1, Stored: 1, Canceled: true}}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if r, err := conn.Next(); err != nil || r.Type != TypeResult || !r.Load.Canceled {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := conn.Next(); !errors.Is(err, ErrLost) {
		t.Errorf("error is %v, want ErrLost", err)
	}
}

func TestCallTooLong(t *testing.T) {
	conn, _ := connected(t)
	if err := conn.Call(Request{Version: Protocol, Op: strings.Repeat("x", MaxRequest)}); err == nil {
		t.Error("no error")
	}
}

// TestRejectedUnread: the door sends an error and hangs up before it has read the
// request, which resets the connection. The error must arrive.
func TestRejectedUnread(t *testing.T) {
	for _, early := range []bool{false, true} {
		conn, c := connected(t)
		request := func() {
			if err := conn.Call(Request{Version: Protocol, Op: OpStatus}); err != nil {
				t.Fatal(err)
			}
		}
		if early {
			request()
		}
		if err := c.Fail(fail(CodeBusy, "", "not now")); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if !early {
			request()
		}
		_, err := conn.Next()
		wantError(t, err, CodeBusy, "not now")
	}
}

func TestLost(t *testing.T) {
	for _, read := range []bool{false, true} {
		conn, c := connected(t)
		if err := conn.Call(Request{Version: Protocol, Op: OpStatus}); err != nil {
			t.Fatal(err)
		}
		if read {
			if _, err := c.Receive(); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		if _, err := conn.Next(); !errors.Is(err, ErrLost) {
			t.Errorf("error is %v, want ErrLost", err)
		}
	}
}

func TestCloseEndsNext(t *testing.T) {
	conn, _ := connected(t)
	ended := make(chan struct{})
	var err error
	go func() {
		defer close(ended)
		_, err = conn.Next()
	}()
	conn.Close()
	wait(t, ended)
	if err == nil || errors.Is(err, ErrLost) {
		t.Errorf("error is %v", err)
	}
}

// TestReplyDescriptors: a door that sends descriptors back leaves none here.
func TestReplyDescriptors(t *testing.T) {
	conn, c := connected(t)
	before := openFiles(t)
	send(t, c.fd, `{"version":1,"type":"status","status":{}}`, unix.UnixRights(0, 1, 2))
	if r, err := conn.Next(); err != nil || r.Status == nil {
		t.Errorf("%+v, %v", r, err)
	}
	noLeak(t, before)
}

func TestParseReply(t *testing.T) {
	for _, test := range []struct {
		data    string
		code    string
		message string
	}{
		{`{"version":1,"type":"result","load":{"rows":1,"stored":1}}`, "", ""},
		{`{"version":1,"type":"result","load":{},"new":true}`, "", ""},
		{`{"version":1,"type":"error","error":{"code":"host","message":"no"}}`, CodeHost, "no"},
		{`{"version":2,"type":"error","error":{"code":"version","message":"I speak 2"}}`, CodeVersion, "I speak 2"},
		{`{"version":2,"type":"result","load":{}}`, CodeVersion, "is of version 2; this client speaks version 1"},
		{`{"version":1,"type":"result"}`, CodeVersion, `does not know: "result"`},
		{`{"version":1,"type":"song","load":{}}`, CodeVersion, `does not know: "song"`},
		{`Failed to store`, CodeVersion, "is malformed"},
	} {
		t.Run(test.data, func(t *testing.T) {
			_, err := parseReply([]byte(test.data))
			if test.code != "" {
				wantError(t, err, test.code, test.message)
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReplyTooLong(t *testing.T) {
	conn, c := connected(t)
	if err := c.send(bytes.Repeat([]byte{' '}, MaxReply+1)); err != nil {
		t.Fatal(err)
	}
	_, err := conn.Next()
	wantError(t, err, CodeVersion, "longer than 65536 bytes")
}

func TestPath(t *testing.T) {
	dir := t.TempDir()
	standard := filepath.Join(dir, "run", "memcached_backdoor")
	own := filepath.Join(dir, "user", "memcached_backdoor")
	for _, d := range []string{standard, own} {
		if err := os.MkdirAll(filepath.Dir(d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	check := func(what, variable, runtimeDir, want string) {
		t.Helper()
		t.Setenv(PathVariable, variable)
		t.Setenv("XDG_RUNTIME_DIR", runtimeDir)
		if got := pathOr(standard); got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	check("neither exists", "", filepath.Dir(own), standard)
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("the user's exists", "", filepath.Dir(own), own)
	check("no such directory", "", "", standard)
	check("said", "/somewhere", filepath.Dir(own), "/somewhere")
	if err := os.WriteFile(standard, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("both exist", "", filepath.Dir(own), standard)
}

func TestLoadCheck(t *testing.T) {
	if err := (&Load{Rows: 6, Stored: 1, Rejected: 2, Skipped: 3}).Check(); err != nil {
		t.Error(err)
	}
	if err := (&Load{Rows: 6, Stored: 1, Rejected: 2}).Check(); err == nil {
		t.Error("no error")
	}
}
