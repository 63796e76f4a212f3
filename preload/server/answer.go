package server

import (
	"errors"
	"fmt"
	"runtime/debug"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/fault"
	"memcached-backdoor/preload/startup"
)

// answer serves one call and closes it.
func (s *Server) answer(call *door.Call) {
	defer rescue("")
	placed := false
	call.Admit = func(request door.Request) (err error) {
		s.places.speak(call)
		if request.Op != door.OpStatus {
			err = s.places.enter()
			placed = err == nil
		}
		return err
	}
	defer func() {
		call.Close()
		s.places.speak(call) // if it has ended without a request
		if placed {
			s.places.leave()
		}
		select {
		case s.ended <- struct{}{}:
		default:
		}
	}()
	if err := s.dispatch(call); err != nil && !errors.Is(err, door.ErrGone) {
		startup.Say("a call of process %d (uid %d): %v", call.Peer.PID, call.Peer.UID, err)
	}
}

// dispatch receives the request and answers it, with an error after a panic. It returns an error if the client did not
// get the answer.
func (s *Server) dispatch(call *door.Call) (err error) {
	defer func() {
		if r := recover(); r != nil {
			startup.Say("panic: %v\n%s", r, debug.Stack())
			err = call.Fail(&door.Error{
				Code:    door.CodeInternal,
				Message: fmt.Sprintf("panic: %v", r),
				Hint:    "memcached is unharmed; report this with the lines on its stderr",
			})
		}
	}()
	debug.SetPanicOnFault(true)
	request, err := call.Receive()
	if err != nil {
		if errors.Is(err, door.ErrGone) {
			return err
		}
		return call.Fail(err)
	}
	fault.BeforeAnswer()
	if request.Op == door.OpStatus {
		return call.Finish(door.Reply{Status: s.statusOf(call, request)})
	}
	if err := s.awaitFixtures(call, request.Detach); err != nil {
		return err
	}
	switch request.Op {
	case door.OpDump:
		return s.dump(call, request)
	case door.OpDelete, door.OpTouch:
		return s.change(call, request)
	case door.OpHot:
		return s.hot(call, request)
	}
	target, err := s.engine.Target()
	if err != nil {
		return call.Fail(asError(err))
	}
	return s.load(call, request, target)
}
