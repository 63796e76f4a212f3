package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// waitLimit bounds the waits for memcached and for the door.
const waitLimit = 30 * time.Second

// A server is a memcached of one measurement's own, on a unix socket in a directory of its own.
type server struct {
	bench  *bench
	cmd    *exec.Cmd
	dir    string
	socket string
	door   string
	began  time.Time // when it was executed
	served time.Time // when it first answered
	exited chan struct{}
}

// A starter starts a memcached with arguments, and waits until it is of use.
type starter func(b *bench, args ...string) (*server, error)

// launch starts a memcached that preloads a library, or "" for a stock one, and does not wait for it.
func (b *bench) launch(library string, args []string, env ...string) (*server, error) {
	dir, err := os.MkdirTemp(b.dir, "")
	if err != nil {
		return nil, err
	}
	s := &server{
		bench:  b,
		dir:    dir,
		socket: filepath.Join(dir, "socket"),
		door:   filepath.Join(dir, "door"),
		exited: make(chan struct{}),
	}
	args = append([]string{"-u", "root", "-m", "16384", "-s", s.socket}, args...)
	s.cmd = exec.CommandContext(b.ctx, b.program, args...)
	s.cmd.Env = append(append(os.Environ(), "MEMCACHED_BACKDOOR="+s.door), env...)
	if library != "" {
		s.cmd.Env = append(s.cmd.Env, "LD_PRELOAD="+library)
	}
	s.cmd.Stderr = os.Stderr
	s.began = time.Now()
	if err := s.cmd.Start(); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	go func() {
		s.cmd.Wait()
		close(s.exited)
	}()
	return s, nil
}

// startStock starts a memcached without the library and waits until it serves.
func (b *bench) startStock(args ...string) (*server, error) {
	s, err := b.launch("", args)
	return s.ready(err, (*server).waitServing)
}

// startLibrary starts a memcached with a build of the library and waits until the door answers.
func (b *bench) startLibrary(library string, args ...string) (*server, error) {
	s, err := b.launch(b.in(library), args)
	return s.ready(err, (*server).waitLoading)
}

// startUnlocated starts one whose library has been made not to know where the hash table is: it cannot prefetch.
func (b *bench) startUnlocated(args ...string) (*server, error) {
	fault := b.own("fault")
	if err := os.WriteFile(fault, []byte("unlocated"), 0o600); err != nil {
		return nil, err
	}
	s, err := b.launch(b.in("backdoor-faulty.so"), args, "MEMCACHED_BACKDOOR_FAULT="+fault)
	return s.ready(err, (*server).waitLoading)
}

// ready waits for a server that was launched, and stops it if that fails.
func (s *server) ready(err error, wait func(*server) error) (*server, error) {
	if err != nil {
		return nil, err
	}
	if err := wait(s); err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *server) stop() {
	s.cmd.Process.Kill()
	<-s.exited
	os.RemoveAll(s.dir)
}

func (s *server) pid() int { return s.cmd.Process.Pid }

// wait tries something every so often until it succeeds.
func (s *server) wait(what string, every, limit time.Duration, try func() error) error {
	deadline := time.Now().Add(limit)
	for {
		err := try()
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("waited %v for %s: %w", limit, what, err)
		}
		select {
		case <-s.bench.ctx.Done():
			return context.Cause(s.bench.ctx)
		case <-s.exited:
			return fmt.Errorf("memcached ended before %s: %v", what, s.cmd.ProcessState)
		case <-time.After(every):
		}
	}
}

// waitServing waits until memcached answers a command: its socket is there before it listens.
func (s *server) waitServing() error {
	return s.wait("memcached's answer", 200*time.Microsecond, waitLimit, func() error {
		conn, err := s.dial()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = ask(conn, "version", "VERSION")
		s.served = time.Now()
		return err
	})
}

// waitLoading waits until the door answers.
func (s *server) waitLoading() error {
	_, err := s.waitDoor()
	return err
}

// waitDoor waits until the door answers, which it does once the library has proven memcached's functions, and
// returns the library's version. Its file is there before.
func (s *server) waitDoor() (library string, err error) {
	if err := s.waitServing(); err != nil {
		return "", err
	}
	var status struct{ Library, Engine, Reason string }
	err = s.wait("the door's answer", 5*time.Millisecond, waitLimit, func() error {
		out, err := s.client("--json", "status").Output()
		if err != nil {
			return fmt.Errorf("client status: %w", err)
		}
		return json.Unmarshal(out, &status)
	})
	if err == nil && status.Engine != "native" {
		err = fmt.Errorf("the library's engine is %q: %s", status.Engine, status.Reason)
	}
	return status.Library, err
}

// client is a command of the client, to this server's door.
func (s *server) client(args ...string) *exec.Cmd {
	return exec.CommandContext(s.bench.ctx, s.bench.in("client"), append([]string{"--door", s.door}, args...)...)
}

func (s *server) dial() (net.Conn, error) { return net.Dial("unix", s.socket) }

// ask sends a command and returns the lines of the answer before the one that begins with last.
func ask(conn net.Conn, command, last string) ([]string, error) {
	if err := conn.SetDeadline(time.Now().Add(waitLimit)); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return nil, fmt.Errorf("%s: %w", command, err)
	}
	var lines []string
	in := bufio.NewScanner(conn)
	for in.Scan() {
		if strings.HasPrefix(in.Text(), last) {
			return lines, nil
		}
		lines = append(lines, in.Text())
	}
	return nil, fmt.Errorf("%s: no %s after %q: %v", command, last, lines, in.Err())
}

// stat is one of memcached's statistics.
func stat(conn net.Conn, name string) (int, error) {
	lines, err := ask(conn, "stats", "END")
	if err != nil {
		return 0, err
	}
	for _, line := range lines {
		if f := strings.Fields(line); len(f) == 3 && f[1] == name {
			return strconv.Atoi(f[2])
		}
	}
	return 0, fmt.Errorf("stats has no %s", name)
}

// stat is one of memcached's statistics, on a connection of its own.
func (s *server) stat(name string) (int, error) {
	conn, err := s.dial()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	return stat(conn, name)
}
