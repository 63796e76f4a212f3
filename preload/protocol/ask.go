package protocol

import (
	"errors"
	"fmt"
	"os"
	"strconv"
)

// Ask asks this process's memcached for groups of its statistics ("settings", "slabs"), over
// a connection of its own to one of the addresses. The first is the general one ("").
func Ask(addresses []Address, groups ...string) ([]map[string]string, error) {
	if len(addresses) == 0 {
		return nil, errNowhere
	}
	var why []error
	for _, at := range addresses {
		stats, err := askAt(at, groups)
		if err == nil {
			return stats, nil
		}
		why = append(why, fmt.Errorf("%v: %w", at, err))
	}
	return nil, errors.Join(why...)
}

func askAt(at Address, groups []string) ([]map[string]string, error) {
	c, err := connect(at)
	if err != nil {
		return nil, err
	}
	defer c.close()
	question := "stats\r\n"
	for _, group := range groups {
		question += "stats " + group + "\r\n"
	}
	// What follows is for one that reads binary commands only; see greeting.
	if err := c.send([]byte(question + "version\r\n")); err != nil {
		return nil, err
	}
	answers := make([]map[string]string, len(groups)+1)
	for i := range answers {
		if answers[i], err = c.stats(); err != nil {
			return nil, err
		}
		if i == 0 && answers[0]["pid"] != strconv.Itoa(os.Getpid()) {
			return nil, fmt.Errorf("another process answers, %.20q", answers[0]["pid"])
		}
	}
	return answers, nil
}
