package cache

/*
#include <stdlib.h>
#include "backdoor.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"memcached-backdoor/preload/host"
)

const (
	// workersLimit is how long the first worker may take to enter its loop;
	// memcached's main thread has waited for the start of all of them before.
	workersLimit = 10 * time.Second
	// disproofs is how many proofs must fail before the functions count as wrong: the
	// child also inherits what memcached's other threads were in the middle of.
	disproofs = 3
	// pollPause is the longest pause between two polls of the child.
	pollPause = 50 * time.Millisecond
	// stillLimit is how long the child may use no processor time, as a sum of pauses: while
	// this process gets no processor itself, it does not poll.
	stillLimit = time.Second
	// childLimit is how long the child may take in all.
	childLimit = time.Minute
)

// steps are the names of the proof's steps in messages (backdoor.h: backdoor_proof_step).
var steps = map[C.int32_t]string{
	C.BACKDOOR_PROOF_FORKED: "isolation from memcached",
	C.BACKDOOR_PROOF_ALLOC:  "item_alloc",
	C.BACKDOOR_PROOF_STORE:  "store_item, item_get, item_remove, item_unlink",
	C.BACKDOOR_PROOF_LIMITS: "the limits of item_alloc",
	C.BACKDOOR_PROOF_CHUNKS: "the chunks of a large item",
	C.BACKDOOR_PROOF_TABLE:  "the hash table",
	C.BACKDOOR_PROOF_LOCKS:  "the locks of items",
}

// ErrHindered is in the error of a proof that could not be made, or not in time: that says
// nothing about the functions, and a later proof may hold.
var ErrHindered = errors.New("not proven yet")

// A Proof shows, in a forked child, that memcached's functions are what was found.
type Proof struct {
	functions *C.struct_backdoor_functions
	failures  int // of the functions
}

// NewProof prepares a proof.  bias is the program's load bias.
func NewProof(facts *host.Facts, bias uintptr) *Proof {
	return &Proof{functions: relocate(facts, bias)}
}

// Try makes the proof and, if it holds, binds the functions; then it is not called again.
// Its error is ErrHindered if it should be tried again later.
func (p *Proof) Try() (*Cache, error) {
	if err := awaitWorkers(); err != nil {
		return nil, err
	}
	for {
		proof, err := prove(p.functions)
		switch {
		case err == nil:
			C.backdoor_bind(p.functions, &proof)
			return &Cache{itemSizeMax: uint64(proof.item_size_max), hasCAS: proof.has_cas != 0, hasStale: bool(p.functions.has_stale)}, nil
		case errors.Is(err, ErrHindered):
			return nil, err
		}
		if p.failures++; p.failures == disproofs {
			return nil, fmt.Errorf("the proof in a forked child failed: %w", err)
		}
	}
}

func hindered(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrHindered}, args...)...)
}

func awaitWorkers() error {
	deadline := time.Now().Add(workersLimit)
	for Workers() == 0 {
		if time.Now().After(deadline) {
			return hindered("no worker of memcached has entered its loop with the library's event")
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// prove has a worker fork a child, and returns its report. The error is nil if the proof holds.
func prove(functions *C.struct_backdoor_functions) (proof C.struct_backdoor_proof_report, err error) {
	page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	if err != nil {
		return proof, hindered("%w", os.NewSyscallError("mmap", err))
	}
	defer unix.Munmap(page)
	report := (*C.struct_backdoor_proof_report)(unsafe.Pointer(&page[0]))

	job := (*C.struct_backdoor_proof_job)(C.calloc(1, C.sizeof_struct_backdoor_proof_job))
	if job == nil {
		return proof, hindered("%w", unix.ENOMEM)
	}
	defer C.free(unsafe.Pointer(job))
	job.functions = *functions
	job.report = report
	C.backdoor_submit_proof(job)
	for atomic.LoadInt32((*int32)(&job.job.finished)) == 0 {
		time.Sleep(time.Millisecond)
	}
	switch fork := syscall.Errno(-job.pid); {
	case job.pid > 0:
	case fork == unix.EAGAIN || fork == unix.ENOMEM:
		return proof, hindered("fork: %w", fork)
	default:
		return proof, fmt.Errorf("fork: %w", fork)
	}
	status, reason := watch(int(job.pid))
	return *report, verdict(report, status, reason)
}

// verdict is the result of a child that has ended; nil: the proof holds. reason is why watch ended it, or "".
func verdict(proof *C.struct_backdoor_proof_report, status unix.WaitStatus, reason string) error {
	step := steps[proof.step]
	switch {
	case proof.step == C.BACKDOOR_PROOF_HOLDS:
		return nil
	case proof.error != 0:
		return hindered("%s: %w", C.GoString(&proof.reason[0]), syscall.Errno(proof.error))
	case proof.reason[0] != 0:
		return hindered("%s", C.GoString(&proof.reason[0]))
	case reason != "":
		return hindered("%s in step %q", reason, step)
	case proof.line != 0:
		return fmt.Errorf("step %q: memcached does not do what was expected (prove.c:%d)", step, int(proof.line))
	case status.Signaled() && (status.Signal() == unix.SIGKILL || status.Signal() == unix.SIGXCPU):
		return hindered("the child was killed in step %q (%v)", step, status.Signal())
	case status.Signaled():
		return fmt.Errorf("the child crashed in step %q (%v)", step, status.Signal())
	}
	return fmt.Errorf("the child exited in step %q", step)
}

// watch waits until the child has ended. It kills a child that makes no progress, and returns the reason. The kernel
// limits the processor time of a child that does (isolate.c). The status is 0 if another thread has waited for the child.
func watch(pid int) (status unix.WaitStatus, reason string) {
	var used, still time.Duration
	began := time.Now()
	for pause := time.Millisecond; ; pause = min(2*pause, pollPause) {
		ended, err := unix.Wait4(pid, &status, unix.WALL|unix.WNOHANG, nil)
		if ended == pid || err == unix.ECHILD {
			return status, reason
		}
		took := time.Since(began)
		switch now, ok := processorTime(pid); {
		case reason != "":
			if took > childLimit+stillLimit { // the kernel does not end it
				return status, reason
			}
		case took > childLimit:
			reason = fmt.Sprintf("the child took more than %v", childLimit)
			kill(pid)
		case !ok || now != used:
			used, still = now, 0
		case still > stillLimit:
			reason = "the child waited, perhaps for a lock that another thread held at the fork,"
			kill(pid)
		default:
			still += pause
		}
		time.Sleep(pause)
	}
}

// processorTime is how much processor time the process has used; false: unknown.
func processorTime(pid int) (time.Duration, bool) {
	var used unix.Timespec
	// clock_getcpuclockid(3): the clock's id is made from the process's.
	err := unix.ClockGettime(int32(^pid)<<3|2, &used)
	return time.Duration(used.Nano()), err == nil
}

// kill kills a child of this process and no other process: if another thread waits for children,
// or SIGCHLD is ignored, the child's pid may be another process's by now.
func kill(pid int) {
	process, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		defer unix.Close(process)
	}
	if unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil) != nil {
		return
	}
	if err == nil {
		unix.PidfdSendSignal(process, unix.SIGKILL, nil, 0)
	} else { // before Linux 5.3, or no descriptor is left
		unix.Kill(pid, unix.SIGKILL)
	}
}
