package hot

// Served are counters of memcached.
type Served struct {
	Requests uint64 // each has looked up one key
	Dropped  uint64 // lines of the log for which there was no room
}

// A Log is memcached's log of requests.
type Log interface {
	// Served asks for the counters.
	Served() (Served, error)
	// RateMax is how many requests in a second memcached may serve when a watch begins; 0: any number.
	RateMax() uint64
	// Watch begins to read the log. memcached logs until the watch has ended. With an error there may be a watch, too: it is to be
	// ended as any other.
	Watch() (Watch, error)
}

// A Watch reads the log.
type Watch interface {
	// Read returns the complete lines that are there, without waiting. They are valid until the next call. The error is io.EOF when a
	// watch that was to end has ended.
	Read() ([]byte, error)
	// End asks memcached to end the watch. It is to be read until then, and then closed.
	End() error
	Close()
}
