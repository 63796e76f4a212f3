package e2e

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"memcached-backdoor/preload/door"
)

// After memcached was stopped for longer than an answer may take, calls by protocol continue.
func TestStoppedByProtocol(t *testing.T) {
	t.Parallel()
	s := newServer(t, built(t, "hosts/unknown/memcached"), "-o", "hashpower=24") // through which the crawler takes a second
	s.start()
	s.waitDoor()
	s.fill(100) // whose dump finds room in a pipe
	_, outcome := s.dumping(door.Request{})
	wait(t, "the list of keys", func() error {
		if s.stats("")["lru_crawler_running"] != "1" {
			return errors.New("it has not begun")
		}
		return nil
	})
	if err := s.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(11 * time.Second) // an answer may take 10
	if err := s.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if reply := outcome(); reply.Error != nil || reply.Dump.Written != 100 {
		t.Errorf("%+v, %v", reply.Dump, reply.Error)
	}
}
