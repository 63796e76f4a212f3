package protocol

import (
	"fmt"
	"time"
)

// session is a connection that is made again when it was idle for too long.
type session struct {
	store *Store
	conn  *conn
	used  time.Time // when the connection was used last
}

func (s *Store) session() (session, error) {
	c, err := s.dial()
	return session{store: s, conn: c, used: time.Now()}, err
}

// refresh makes sure that the connection can be used.
func (s *session) refresh() error {
	if time.Since(s.used) < idleLimit && !s.conn.stale() {
		return nil
	}
	c, err := s.store.dial()
	if err != nil {
		return err
	}
	s.conn.close()
	s.conn = c
	return nil
}

// dial connects to memcached.
func (s *Store) dial() (*conn, error) {
	c, err := dial(s.at)
	if err != nil {
		return nil, fmt.Errorf("memcached at %v: %w", s.at, err)
	}
	return c, nil
}
