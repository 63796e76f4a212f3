// Package server answers the door's calls: it loads, resumes, dumps, deletes, touches, finds hot keys and reports. It loads
// the fixtures at the start and saves the cache at the end.
package server

import (
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"memcached-backdoor/preload/cache"
	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/engine"
	"memcached-backdoor/preload/host"
	"memcached-backdoor/preload/hot"
	"memcached-backdoor/preload/option"
	"memcached-backdoor/preload/poll"
	"memcached-backdoor/preload/startup"
)

// A Server is the library at work in one memcached.
type Server struct {
	version     string
	engine      *engine.Engine
	opened      time.Time
	places      places
	interrupted interruptedLoads
	turns       hot.Turns // of those who read memcached's log, and of those who write to it

	fixtures       startup.Fixtures
	fixturesLoaded chan struct{} // closed when they are

	mu     sync.Mutex
	status door.Status // the counters of it

	ended chan struct{} // has a value after a call has ended, until tidy takes it
}

// Program is memcached's program.
type Program struct {
	File int     // the open file, which Serve closes; or a negative errno
	Path string  // of that file
	Bias uintptr // at which the program is loaded
}

// Serve finds the engine, loads the fixtures, and answers the calls of a listening socket until the process
// ends. It owns the socket; -1: there is no door.
func Serve(socket int, program Program, version string) {
	defer rescue("no door: ")
	// The Go runtime opens two descriptors for its first timer (runtime/netpoll.go). It does so now, before memcached's
	// clients need them.
	time.Sleep(time.Nanosecond)
	first := startup.FirstDescriptor()
	for poll.Open(first) != nil { // it opens another one, without which no call can be waited for
		time.Sleep(openPause)
	}
	s := &Server{
		version: version, opened: time.Now(), fixtures: startup.FindFixtures(),
		fixturesLoaded: make(chan struct{}), ended: make(chan struct{}, 1),
	}
	loading := s.findFixtures()
	s.engine = engine.Find(engine.Options{
		Program: program.File, Path: program.Path, Bias: program.Bias,
		WorkersReason: startup.WorkersReason(), Say: startup.Say,
	})
	s.places = newPlaces(callsAtOnce())
	if line := s.engine.Announcement(); line != "" {
		startup.Say("%s", line)
	}
	if startup.SaveFile() != "" {
		go s.saveOnExit()
	}
	debug.FreeOSMemory() // the analysis of the program leaves some MB behind
	if loading != nil {
		go loading.run()
	} else {
		startup.ReleaseStderr()
	}
	if socket >= 0 {
		s.serve(socket, first)
	}
}

// openPause is the time between two tries to open a descriptor.
const openPause = 100 * time.Millisecond

// serve accepts calls, whose descriptors have numbers from first on.
func (s *Server) serve(socket, first int) {
	listener, err := door.NewListener(socket)
	if err != nil {
		startup.Say("no door: %v", err)
		return
	}
	listener.FirstDescriptor = first
	go s.tidy()
	for {
		call, err := listener.Accept()
		if err != nil {
			startup.Say("the door is closed: %v", err)
			return
		}
		s.count(func(status *door.Status) { status.Calls++ })
		s.places.arrive(call)
		go s.answer(call)
		s.places.awaitRoom()
	}
}

// rescue keeps a panic from memcached: deferred in every goroutine.
func rescue(what string) {
	if r := recover(); r != nil {
		startup.Say("%spanic: %v\n%s", what, r, debug.Stack())
	}
}

// count changes the status' counters.
func (s *Server) count(change func(*door.Status)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.status)
}

// kinds has the name of each engine on the wire.
var kinds = map[engine.Kind]door.Engine{
	engine.None: door.EngineNone, engine.Native: door.EngineNative, engine.Protocol: door.EngineProtocol,
}

// asError makes a call's error of any.
func asError(err error) *door.Error {
	if wrong, ok := errors.AsType[*option.Error](err); ok {
		return &door.Error{Code: door.CodeRequest, Message: wrong.Message, Hint: wrong.Hint}
	}
	if none, ok := errors.AsType[*engine.Unavailable](err); ok {
		code := door.CodeHost
		if none.Panic {
			code = door.CodeInternal
		}
		return &door.Error{Code: code, Message: none.Reason, Hint: none.Hint}
	}
	if e, ok := errors.AsType[*door.Error](err); ok {
		return e
	}
	return &door.Error{Code: door.CodeInternal, Message: err.Error()}
}

// describe makes the reply to a status request.
func (s *Server) describe() *door.Status {
	target, none := s.engine.Target()
	dumps, dumpsReason := s.engine.Dumps(target)
	s.mu.Lock()
	defer s.mu.Unlock()
	status := s.status
	status.Library = s.version
	status.PID = os.Getpid()
	status.Workers = cache.Workers()
	status.Uptime = time.Since(s.opened).Seconds()
	status.Engine, status.Reason = kinds[target.Kind], target.Reason
	status.Dumps, status.DumpsReason = kinds[dumps], dumpsReason
	if facts := s.engine.Facts(); facts != nil {
		if facts.Version != (host.Version{}) {
			status.Memcached = facts.Version.String()
		}
		status.BuildID = facts.BuildID
		status.Route = string(facts.Route)
	}
	if none == nil {
		status.ItemSizeMax = target.ItemSizeMax()
	}
	return &status
}
