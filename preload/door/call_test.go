package door

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// next receives one reply as any client could.
func next(t *testing.T, client int) (Reply, error) {
	t.Helper()
	data := make([]byte, MaxReply)
	n, err := unix.Read(client, data)
	if err != nil {
		return Reply{}, err
	}
	if n == 0 {
		return Reply{}, io.EOF
	}
	var r Reply
	if err := json.Unmarshal(data[:n], &r); err != nil {
		t.Fatalf("%q: %v", data[:n], err)
	}
	return r, nil
}

// stuff fills the connection from the library's side until it is full.
func stuff(t *testing.T, c *Call) (messages int) {
	t.Helper()
	for {
		err := c.send(make([]byte, 1024))
		if errors.Is(err, unix.EAGAIN) {
			return messages
		}
		if err != nil {
			t.Fatal(err)
		}
		messages++
	}
}

func TestWait(t *testing.T) {
	r, w := pipe(t)
	event, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	must(t, event, err)
	c, client := call(t, loadRequest, r)

	expect := func(what string, input bool, done int, limit time.Duration, want Ready) {
		t.Helper()
		got, err := c.Wait(input, done, limit)
		if err != nil || got != want {
			t.Fatalf("%s: %+v, %v; want %+v", what, got, err, want)
		}
	}
	expect("nothing", true, event, 0, Ready{})
	expect("nothing for a while", true, event, 2*time.Millisecond, Ready{})
	expect("nothing to wait for but the client", false, -1, time.Microsecond, Ready{})

	if _, err := unix.Write(event, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	expect("a batch", true, event, -1, Ready{Done: true})
	expect("a batch that is not asked for", true, -1, 0, Ready{})
	if _, err := unix.Write(w, []byte("x")); err != nil {
		t.Fatal(err)
	}
	expect("both", true, event, -1, Ready{Input: true, Done: true})
	expect("input that is not wanted yet", false, event, -1, Ready{Done: true})

	if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	expect("all three", true, event, -1, Ready{Input: true, Done: true, Gone: true})
	if _, err := unix.Read(event, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Read(r, make([]byte, 8)); err != nil {
		t.Fatal(err)
	}
	// The client has gone, and the rest must not become a busy loop.
	expect("gone before", true, event, 2*time.Millisecond, Ready{Gone: true})
	hangUp(t, client)
	expect("gone altogether", true, event, 2*time.Millisecond, Ready{Gone: true})
	hangUp(t, w)
	expect("the input's end", true, event, -1, Ready{Input: true, Gone: true})
}

func TestWaitFile(t *testing.T) {
	c, client := call(t, loadRequest, int(file(t, "a\t1\n").Fd()))
	if ready, err := c.Wait(true, -1, -1); err != nil || ready != (Ready{Input: true}) {
		t.Errorf("%+v, %v", ready, err)
	}
	hangUp(t, client)
	if ready, err := c.Wait(true, -1, -1); err != nil || ready != (Ready{Input: true, Gone: true}) {
		t.Errorf("%+v, %v", ready, err)
	}
}

func TestWaitWakes(t *testing.T) {
	for _, test := range []struct {
		name string
		wake func(t *testing.T, client, pipe, event int)
		want Ready
	}{
		{"client", func(t *testing.T, client, _, _ int) { hangUp(t, client) }, Ready{Gone: true}},
		{"cancel", func(_ *testing.T, client, _, _ int) { unix.Shutdown(client, unix.SHUT_WR) }, Ready{Gone: true}},
		{"input", func(_ *testing.T, _, pipe, _ int) { unix.Write(pipe, []byte("x")) }, Ready{Input: true}},
		{"end of input", func(t *testing.T, _, pipe, _ int) { hangUp(t, pipe) }, Ready{Input: true}},
		{"batch", func(_ *testing.T, _, _, event int) { unix.Write(event, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }, Ready{Done: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w := pipe(t)
			event, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			must(t, event, err)
			c, client := call(t, loadRequest, r)
			var got Ready
			done := background(t, func() { got, err = c.Wait(true, event, -1) })
			test.wake(t, client, w, event)
			wait(t, done)
			if err != nil || got != test.want {
				t.Errorf("%+v, %v; want %+v", got, err, test.want)
			}
		})
	}
}

func TestProgress(t *testing.T) {
	f := file(t, "")
	c, client := call(t, `{"version":1,"op":"load","progress":true}`, int(f.Fd()))
	if !c.Progress(Reply{Load: &Load{Rows: 1, Stored: 1}}) {
		t.Error("the first message was not sent")
	}
	for range 1000 {
		if c.Progress(Reply{Load: &Load{Rows: 2, Stored: 2}}) {
			t.Fatal("a message was sent while one is unread")
		}
	}
	if r, err := next(t, client); err != nil || r.Version != Protocol || r.Type != TypeProgress || r.Load == nil || r.Load.Rows != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	if !c.Progress(Reply{Load: &Load{Rows: 3, Stored: 3}}) {
		t.Error("no message was sent to a client that reads")
	}
	if err := c.Finish(Reply{Load: &Load{Rows: 4, Stored: 4}}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	for _, want := range []struct {
		typ  string
		rows uint64
	}{{TypeProgress, 3}, {TypeResult, 4}} {
		if r, err := next(t, client); err != nil || r.Type != want.typ || r.Load.Rows != want.rows {
			t.Errorf("%+v, %v; want %+v", r, err, want)
		}
	}
	if _, err := next(t, client); err != io.EOF {
		t.Errorf("after the result: %v", err)
	}
}

func TestProgressNotAskedFor(t *testing.T) {
	c, client := call(t, loadRequest, int(file(t, "").Fd()))
	if c.Progress(Reply{Load: &Load{Rows: 1, Stored: 1}}) {
		t.Error("progress was sent")
	}
	if err := c.Finish(Reply{Load: &Load{}}); err != nil {
		t.Fatal(err)
	}
	if r, err := next(t, client); err != nil || r.Type != TypeResult {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestProgressToNobody(t *testing.T) {
	c, client := call(t, `{"version":1,"op":"load","progress":true}`, int(file(t, "").Fd()))
	hangUp(t, client)
	if c.Progress(Reply{Load: &Load{}}) {
		t.Error("progress was sent without a client")
	}
}

func TestFinish(t *testing.T) {
	lines := make([]Reject, 2000)
	for i := range lines {
		lines[i].Reason = "no tab between key and value"
	}
	for _, test := range []struct {
		name    string
		reply   Reply
		typ     string
		message string // of the error, to the client and to the caller
	}{
		{name: "result", reply: Reply{Load: &Load{Rows: 1, Stored: 1}}, typ: TypeResult},
		{name: "status", reply: Reply{Status: &Status{PID: 1}}, typ: TypeStatus},
		{name: "error", reply: Reply{Error: &Error{Code: CodeHost, Message: "memcached 9 is not supported"}}, typ: TypeError, message: "memcached 9"},
		{name: "error in mid-load", reply: Reply{Error: &Error{Code: CodeRead, Message: "EIO", Load: &Load{Rows: 1}}}, typ: TypeError, message: "EIO"},
		{name: "empty", typ: TypeError, message: "could not be sent: it is empty"},
		{name: "too long", reply: Reply{Load: &Load{Rejects: lines}}, typ: TypeError, message: "more than 65536"},
		{name: "not a number", reply: Reply{Load: &Load{Seconds: math.NaN()}}, typ: TypeError, message: "NaN"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, client := pair(t)
			// The client has canceled, and waits for the result.
			if err := unix.Shutdown(client, unix.SHUT_WR); err != nil {
				t.Fatal(err)
			}
			if err := c.Finish(test.reply); (err != nil) != (test.typ == TypeError && test.reply.Error == nil) {
				t.Errorf("Finish: %v", err)
			}
			r, err := next(t, client)
			if err != nil || r.Version != Protocol || r.Type != test.typ {
				t.Fatalf("%+v, %v", r, err)
			}
			if test.message != "" {
				wantError(t, r.Error, r.Error.Code, test.message)
			}
		})
	}
}

func TestFail(t *testing.T) {
	c, client := pair(t)
	if err := c.Fail(errors.New("out of luck")); err != nil {
		t.Fatal(err)
	}
	if err := c.Fail(errors.Join(io.EOF, fail(CodeBusy, "later", "not now"))); err != nil {
		t.Fatal(err)
	}
	r, _ := next(t, client)
	wantError(t, r.Error, CodeInternal, "out of luck")
	r, _ = next(t, client)
	wantError(t, r.Error, CodeBusy, "not now")
}

func TestFinishToWhoDoesNotRead(t *testing.T) {
	c, client := pair(t)
	messages := stuff(t, c)
	c.finishWithin = 10 * time.Millisecond
	if err := c.Finish(Reply{Load: &Load{}}); err == nil || !strings.Contains(err.Error(), "did not take its reply within 10ms") {
		t.Fatalf("Finish: %v", err)
	}

	c.finishWithin = time.Minute
	var err error
	done := background(t, func() { err = c.Finish(Reply{Load: &Load{Rows: 1, Stored: 1}}) })
	for range messages {
		if _, err := unix.Read(client, make([]byte, 2048)); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, done)
	if err != nil {
		t.Fatalf("Finish, once the client reads: %v", err)
	}
	if r, err := next(t, client); err != nil || r.Type != TypeResult {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestFinishToWhoLeavesMeanwhile(t *testing.T) {
	c, client := pair(t)
	stuff(t, c)
	var err error
	done := background(t, func() { err = c.Finish(Reply{Load: &Load{}}) })
	hangUp(t, client)
	wait(t, done)
	if !errors.Is(err, ErrGone) {
		t.Errorf("error is %v, want ErrGone", err)
	}
}

// TestFinishWithoutClient: SIGPIPE would end memcached.
func TestFinishWithoutClient(t *testing.T) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGPIPE, unix.SIGUSR1)
	defer signal.Stop(signals)
	c, client := pair(t)
	hangUp(t, client)
	for range 2 {
		if err := c.Finish(Reply{Load: &Load{}}); !errors.Is(err, ErrGone) {
			t.Errorf("error is %v, want ErrGone", err)
		}
	}
	if err := unix.Kill(unix.Getpid(), unix.SIGUSR1); err != nil {
		t.Fatal(err)
	}
	if s := <-signals; s != unix.SIGUSR1 {
		t.Errorf("there was a %v", s)
	}
}

func TestClose(t *testing.T) {
	f := file(t, "")
	before := openFiles(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := newCall(fds[0])
	send(t, fds[1], "", unix.UnixRights(int(f.Fd())))
	if _, err := c.Receive(); err != nil {
		t.Fatal(err)
	}
	unix.Close(fds[1])
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	noLeak(t, before)
}
