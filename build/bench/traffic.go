package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// trafficKeys are the keys that the traffic reads and writes, a few megabytes.
const trafficKeys = 100_000

// warmUp is before what is measured of the traffic.
const warmUp = 300 * time.Millisecond

// A traffic is the other clients of a memcached: contenders/traffic.c.
type traffic struct {
	cmd     *exec.Cmd
	orders  io.WriteCloser
	lines   *bufio.Scanner
	windows []window // that have been read
}

// A window is a tenth of a second of the traffic, a phase is what lies between two orders.
type (
	window struct{ end, p99 float64 } // s since the traffic began, µs
	phase  struct {
		start, end float64 // s
		answers    float64
		p99        float64 // µs
	}
)

// traffic starts requests at a rate, or, with 0, each after the answer to the one before.
func (s *server) traffic(rate float64) (*traffic, error) {
	cmd := exec.CommandContext(s.bench.ctx, s.bench.own("traffic"),
		s.socket, fmt.Sprint(sized(trafficKeys)), fmt.Sprintf("%.0f", rate))
	cmd.Stderr = os.Stderr
	orders, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t := &traffic{cmd: cmd, orders: orders, lines: bufio.NewScanner(out)}
	if !t.lines.Scan() || t.lines.Text() != "ready" {
		t.stop()
		return nil, fmt.Errorf("the traffic has not begun: %q", t.lines.Text())
	}
	return t, nil
}

// stop ends it.
func (t *traffic) stop() {
	t.orders.Close()
	t.cmd.Process.Kill()
	t.cmd.Wait()
}

// endPhase ends a phase and says what was measured in it.
func (t *traffic) endPhase() (phase, error) {
	if _, err := fmt.Fprintln(t.orders); err != nil {
		return phase{}, fmt.Errorf("traffic: %w", err)
	}
	for t.lines.Scan() {
		var w window
		var p phase
		var skip float64
		line := t.lines.Text()
		if strings.HasPrefix(line, "phase ") {
			_, err := fmt.Sscanf(line, "phase %g %g %g %g %g", &p.start, &p.end, &p.answers, &skip, &p.p99)
			return p, err
		}
		if _, err := fmt.Sscanf(line, "window %g %g %g %g", &w.end, &skip, &skip, &w.p99); err != nil {
			return phase{}, fmt.Errorf("traffic: %q: %w", line, err)
		}
		t.windows = append(t.windows, w)
	}
	return phase{}, fmt.Errorf("the traffic has ended: %v", t.lines.Err())
}

// run lets a phase last so long, after one that warms up.
func (b *bench) run(t *traffic, lasts time.Duration) (phase, error) {
	if err := b.sleep(lasting(warmUp)); err != nil {
		return phase{}, err
	}
	if _, err := t.endPhase(); err != nil {
		return phase{}, err
	}
	if err := b.sleep(lasting(lasts)); err != nil {
		return phase{}, err
	}
	return t.endPhase()
}

// serve measures traffic at a rate against a server on which nothing else happens.
func (s *server) serve(rate float64, lasts time.Duration) (phase, error) {
	t, err := s.traffic(rate)
	if err != nil {
		return phase{}, err
	}
	defer t.stop()
	return s.bench.run(t, lasts)
}

// perSecond is how many requests were answered.
func (p phase) perSecond() float64 { return p.answers / (p.end - p.start) }

// halfRate is half of the requests per second that a stock memcached can serve to the traffic: busy, and not full.
func (b *bench) halfRate() (float64, error) {
	if b.requestsPerSec == 0 {
		var all []float64
		for range 3 {
			s, err := b.startStock()
			if err != nil {
				return 0, err
			}
			p, err := s.serve(0, 2*time.Second)
			s.stop()
			if err != nil {
				return 0, err
			}
			all = append(all, p.perSecond())
		}
		b.requestsPerSec = median(all)
	}
	return b.requestsPerSec / 2, nil
}
