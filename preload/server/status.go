package server

import (
	"errors"
	"time"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/startup"
	"memcached-backdoor/preload/stats"
)

// errHeld is the reason for which memcached is not asked for statistics.
var errHeld = errors.New("memcached takes no connections until the fixtures are loaded")

// statusOf makes the reply to a status request. That memcached does not answer is in the reply, it is no error.
func (s *Server) statusOf(request door.Request) *door.Status {
	var figures *door.Stats
	var err error
	if request.Stats > 0 {
		figures, err = s.stats(time.Duration(request.Stats) * time.Millisecond)
	}
	status := s.describe() // its uptime is the time of the figures
	status.Stats = figures
	if err != nil {
		status.StatsReason = oneLine(err.Error())
	}
	if request.Slabs {
		status.Slabs = slabsOf(s.engine.Slabs())
	}
	return status
}

// stats asks memcached for its statistics, for which it may take limit. It takes the place of a call, for it takes two
// descriptors: both ends of a connection.
func (s *Server) stats(limit time.Duration) (*door.Stats, error) {
	if startup.ConnectionsHeld() {
		return nil, errHeld
	}
	if err := s.places.enter(); err != nil {
		return nil, err
	}
	defer s.places.leave()
	answers, err := s.engine.Ask(limit)
	if err != nil {
		return nil, err
	}
	return stats.Of(answers), nil
}
