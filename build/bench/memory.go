package main

import (
	"fmt"
	"time"
)

// What is measured of memory; the subjects are the contenders.
const (
	peakMemory   = "peak of memcached"
	afterMemory  = "memcached afterwards"
	clientMemory = "peak of the client"
	tablePower   = "hash table, power of two"
)

// measureMemory compares the most memory that memcached had during a load by the door with what it has after the same
// rows came by the protocol, with a hash table as large.
func measureMemory(b *bench, s *section) error {
	in, err := b.input(s, fiveTimes)
	if err != nil {
		return err
	}
	for range *rounds {
		power, err := b.doorMemory(s, in)
		if err != nil {
			return fmt.Errorf("load by the door: %w", err)
		}
		if err := b.protocolMemory(s, in, power); err != nil {
			return fmt.Errorf("load by the protocol: %w", err)
		}
	}
	return nil
}

// doorMemory returns how large the hash table has become.
func (b *bench) doorMemory(s *section, in *input) (power int, err error) {
	m, err := loadLibrary(b)
	if err != nil {
		return 0, err
	}
	defer m.stop()
	j, err := begin(m.client("--json", "load", in.path))
	if err != nil {
		return 0, err
	}
	// The kernel's own account of a child that ended begins with its parent's peak.
	var client float64
	err = j.watch(5*time.Millisecond, func() error {
		if peak, err := memory(j.cmd.Process.Pid, "VmHWM"); err == nil { // else it has just ended
			client = peak
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := in.check(j.output.Bytes()); err != nil {
		return 0, err
	}
	peak, err := memory(m.pid(), "VmHWM")
	if err != nil {
		return 0, err
	}
	rss, err := memory(m.pid(), "VmRSS")
	if err != nil {
		return 0, err
	}
	if power, err = m.stat("hash_power_level"); err != nil {
		return 0, err
	}
	s.add(doorFile, peakMemory, "MB", peak)
	s.add(doorFile, afterMemory, "MB", rss)
	s.add(doorFile, clientMemory, "MB", client)
	s.add(doorFile, tablePower, "", float64(power))
	return power, nil
}

// protocolMemory loads into a memcached whose hash table has been given its power: no old one is left to be freed.
func (b *bench) protocolMemory(s *section, in *input, power int) error {
	m, err := b.startStock("-o", fmt.Sprintf("hashpower=%d", power))
	if err != nil {
		return err
	}
	defer m.stop()
	if _, err := seconds(m.protocol("ms", in).Output()); err != nil {
		return err
	}
	reached, err := m.stat("hash_power_level")
	if err != nil {
		return err
	}
	rss, err := memory(m.pid(), "VmRSS")
	if err != nil {
		return err
	}
	s.add(protocolMS, afterMemory, "MB", rss)
	s.add(protocolMS, tablePower, "", float64(reached))
	return nil
}
