package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"time"
)

// A job is a load that is watched while it runs.
type job struct {
	cmd    *exec.Cmd
	output bytes.Buffer
	ended  chan struct{}
	err    error // once it has ended
}

func begin(cmd *exec.Cmd) (*job, error) {
	j := &job{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = &j.output, os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		if err := cmd.Wait(); err != nil {
			j.err = fmt.Errorf("%v: %w", cmd.Args, err)
		}
		close(j.ended)
	}()
	return j, nil
}

// watch does something at once, then every so often until the job has ended, and returns the job's error. It ends the
// job if looking fails.
func (j *job) watch(every time.Duration, look func() error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := look(); err != nil {
			j.end()
			return err
		}
		select {
		case <-j.ended:
			return j.err
		case <-tick.C:
		}
	}
}

// wait waits until the job has ended, and then returns its error, or for so long.
func (j *job) wait(limit time.Duration) error {
	select {
	case <-j.ended:
		return j.err
	case <-time.After(limit):
		return nil
	}
}

// end ends the job, if it still runs, as a user would.
func (j *job) end() {
	j.cmd.Process.Signal(os.Interrupt)
	<-j.ended
}
