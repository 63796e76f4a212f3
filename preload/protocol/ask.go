package protocol

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/meta"
)

// Ask asks this process's memcached for its statistics, the general ones, "settings" and "slabs",
// over a connection of its own to one of the addresses.
func Ask(addresses []Address) ([]map[string]string, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var reasons []error
	for _, at := range addresses {
		stats, err := askAt(at)
		if err == nil {
			return stats, nil
		}
		reasons = append(reasons, fmt.Errorf("%v: %w", at, err))
	}
	return nil, errors.Join(reasons...)
}

func askAt(at Address) ([]map[string]string, error) {
	c, err := connect(at)
	if err != nil {
		return nil, err
	}
	defer c.close()
	// The last command is for a memcached that reads only binary commands; see greeting.
	if err := c.send(meta.Commands("stats\r\nstats settings\r\nstats slabs\r\nversion\r\n")); err != nil {
		return nil, err
	}
	answers := make([]map[string]string, 3)
	for i := range answers {
		if answers[i], err = c.stats(); err != nil {
			return nil, err
		}
		if i == 0 && answers[0]["pid"] != strconv.Itoa(os.Getpid()) {
			return nil, fmt.Errorf("another process answers, %s", clip.Quote(answers[0]["pid"]))
		}
	}
	return answers, nil
}
