package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/protocol"
	"memcached-backdoor/preload/slabs"
	"memcached-backdoor/preload/startup"
	"memcached-backdoor/preload/stats"
)

// errHeld is the reason for which memcached is not asked for statistics.
var errHeld = errors.New("memcached takes no connections until the fixtures are loaded")

// statusOf makes the reply to a status request. That memcached does not answer is in the reply, it is no error.
func (s *Server) statusOf(call *door.Call, request door.Request) *door.Status {
	if request.Stats == 0 && !request.Slabs {
		return s.describe()
	}
	limit := protocol.AnswerLimit
	if request.Stats > 0 {
		limit = min(limit, time.Duration(request.Stats)*time.Millisecond)
	}
	answers, err := s.ask(limit, call.Gone)
	status := s.describe() // its uptime is the time of the figures
	switch {
	case request.Stats > 0 && err != nil:
		status.StatsReason = oneLine(err.Error())
	case request.Stats > 0:
		status.Stats = stats.Of(answers)
	}
	if request.Slabs {
		var usage *slabs.Usage
		if err == nil {
			usage, err = slabs.NewUsage(answers)
		}
		status.Slabs = slabsOf(usage, err)
	}
	return status
}

// ask asks memcached for its statistics, for which it may take limit, unless the client has gone. It takes the place of a
// call, for it takes two descriptors: both ends of a connection.
func (s *Server) ask(limit time.Duration, gone func() error) (*stats.Answers, error) {
	if startup.ConnectionsHeld() {
		return nil, errHeld
	}
	if err := s.places.enter(); err != nil {
		return nil, err
	}
	defer s.places.leave()
	return s.engine.Ask(limit, gone)
}
