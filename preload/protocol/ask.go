package protocol

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
	"memcached-backdoor/preload/stats"
)

// questions are those of Ask. The last command is for a memcached that reads only binary commands; see greeting.
const questions = "stats\r\nstats settings\r\nstats slabs\r\nstats items\r\nversion\r\n"

// Ask asks this process's memcached for its statistics, over a connection of its own to one of the addresses. memcached
// may take limit for all of them. gone, if it is not nil, is called while it waits; its error ends that.
func Ask(addresses []Address, limit time.Duration, gone func() error) (*stats.Answers, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var reasons []error
	for _, at := range addresses {
		answers, err := askAt(at, limit, gone)
		if err == nil {
			return answers, nil
		}
		reasons = append(reasons, fmt.Errorf("%v: %w", at, err))
		if errors.Is(err, errSilent) {
			break // the same threads serve all addresses
		}
		if gone != nil && gone() != nil {
			break
		}
	}
	return nil, errors.Join(reasons...)
}

func askAt(at Address, limit time.Duration, gone func() error) (*stats.Answers, error) {
	c, err := (&conn{limit: limit, total: true, gone: gone}).connect(at)
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.send(meta.Commands(questions)); err != nil {
		return nil, err
	}
	var a stats.Answers
	for _, group := range []*map[string]string{&a.General, &a.Settings, &a.Slabs, &a.Items} {
		if *group, err = c.stats(); err != nil {
			return nil, err
		}
		if pid := a.General["pid"]; pid != strconv.Itoa(os.Getpid()) {
			return nil, fmt.Errorf("another process answers, %s", clip.Quote(pid))
		}
	}
	a.Connections = uint64(connections.Load())
	return &a, nil
}
