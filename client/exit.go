package main

import (
	"cmp"
	"errors"
	"fmt"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/host"

	"github.com/alecthomas/kong"
)

// The exit statuses. These do not change. New ones may be added; all but 0 mean
// that something was not done.
const (
	exitDone        = 0
	exitFailure     = 1
	exitPartly      = 3 // 2 is the status of a panic (package runtime)
	exitLimit       = 4
	exitTooFew      = 5
	exitNoDoor      = 10
	exitHost        = 11
	exitUsage       = 80
	exitInterrupted = 130 // 128 + SIGINT, as a shell has it
	exitUnread      = 141 // 128 + SIGPIPE, which ends the client
)

// status is an exit status with its text in --help and the manual page.
type status struct {
	Status int
	Help   string
}

var statuses = []status{
	{exitDone, "every row is stored, or was skipped on request; check: it would be, natively; copy: the target has all; diff: there is no difference; wait: memcached is ready; status --watch: a signal has ended it"},
	{exitFailure, "failed: the error says what was not done"},
	{exitPartly, "some rows were rejected, the others are stored; dump: some items could not be read; get: a key is not in the cache; set: the value is not stored; copy: some items are not at the target, or not the same there; diff: there are differences; check: by protocol only"},
	{exitLimit, "the load ended because more rows were rejected than --max-errors allows"},
	{exitTooFew, "fewer rows were read than --expect-rows says; what was read is stored"},
	{exitNoDoor, "no door: no memcached answers at its path, or none within --timeout"},
	{exitHost, "this memcached is not supported by the library, or not for this command, or is none"},
	{exitUsage, "wrong usage"},
	{exitInterrupted, "interrupted"},
	{exitUnread, "ended by SIGPIPE, without a message: what reads its output has gone, as head does"},
}

// printHelp prints kong's help and, below it, examples and the exit statuses.
func printHelp(options kong.HelpOptions, ctx *kong.Context) error {
	if err := kong.DefaultHelpPrinter(options, ctx); err != nil {
		return err
	}
	fmt.Fprintln(ctx.Stdout, "\nEXAMPLES")
	for _, e := range examplesOf(selected(ctx), programName()) {
		fmt.Fprintf(ctx.Stdout, "  %s:\n    %s\n", e.About, e.Command)
	}
	fmt.Fprintln(ctx.Stdout, "\nEXIT STATUS")
	for _, s := range statuses {
		fmt.Fprintf(ctx.Stdout, "  %-3d  %s\n", s.Status, s.Help)
	}
	return nil
}

var (
	// errRejected ends a load with rejected rows, which have been listed.
	errRejected = errors.New("rows were rejected")

	// errLimited ends a load in which too many rows were rejected.
	errLimited = errors.New("more rows were rejected than --max-errors allows: the load has ended before its input")

	// errArrayCut ends a load of a truncated JSON array.
	errArrayCut = errors.New("the JSON array is not closed: what is there of it is stored, its end is missing")

	// errIncomplete ends a restore of a truncated dump.
	errIncomplete = errors.New("the dump is not complete: what is there of it is stored, its end is missing")

	// errItemsLost ends a dump with lost items. The summary has their number.
	errItemsLost = errors.New("items are lost")

	// errDumpCanceled ends a dump that memcached canceled.
	errDumpCanceled = errors.New("memcached ended the dump before its end")

	// errChangeCanceled ends a delete or touch that memcached canceled.
	errChangeCanceled = errors.New("memcached ended it before its end")

	// errHotCanceled ends a look at the requests that memcached canceled.
	errHotCanceled = errors.New("memcached ended the look at its requests before its end")

	// errNotCopied ends a copy after which some items are not at the target, or not the same there. The output has their
	// numbers.
	errNotCopied = errors.New("some items are not at the target as they are in the source")

	// errCopyUnknown ends a copy that a signal stopped, and of which a side did not end in time.
	errCopyUnknown = errors.New("interrupted; it is not known of all items whether they were copied")

	// errDiffer ends a comparison that found differences, which have been listed.
	errDiffer = errors.New("there are differences")

	// errDumpCut ends a comparison with a truncated dump.
	errDumpCut = errors.New("the dump is not complete: what is there of it was compared, its end is missing")

	// errProtocolOnly ends a check of a memcached without native engine. The output
	// has the reason.
	errProtocolOnly = errors.New("by protocol only")

	// errInterrupted ends a call that a signal stopped.
	errInterrupted = errors.New("interrupted")

	// errNoOutcome ends a load, delete or touch that a signal stopped and whose counts did not come
	// in time.
	errNoOutcome = errors.New("interrupted; memcached did not say what it had done by then")

	// errDetached ends the client, but not the load.
	errDetached = errors.New("interrupted; the load continues in memcached")

	errLostLoad   = errors.New("memcached went away; what was stored before is in an unknown state")
	errLostDump   = errors.New("memcached went away during the dump")
	errLostChange = errors.New("memcached went away; what was changed before is in an unknown state")
	errLostHot    = errors.New("memcached went away while its requests were looked at")
	errLostStatus = errors.New("memcached went away before it answered")
	errSilent     = errors.New("there is a door, but memcached does not answer")
	errUnfinished = errors.New("memcached has not done all of it")
	errLoading    = errors.New("the fixtures are not loaded yet")
	errCanceled   = errors.New("memcached ended the load before its input did")
)

// usageError is an error of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// hintError is an error with a hint of its own.
type hintError struct {
	error
	hint string
}

func (e hintError) Unwrap() error { return e.error }

// explain returns what an error means to the user: the exit status, the error
// line and the hint line. Either line may be empty. Nothing else decides that.
func explain(err error) (status int, message, hint string) {
	if err == nil {
		return exitDone, "", ""
	}
	message = err.Error()
	if e, ok := errors.AsType[*door.Error](err); ok {
		return cmp.Or(codes[e.Code], exitFailure), message, e.Hint
	}
	if e, ok := errors.AsType[*host.Unsupported](err); ok {
		return exitHost, message, e.Hint
	}
	if e, ok := errors.AsType[hintError](err); ok {
		status, inner, _ := explain(e.error)
		if inner == "" {
			message = "" // it is silent with a hint, too
		}
		return status, message, e.hint
	}
	if _, ok := errors.AsType[usageError](err); ok {
		return exitUsage, message, ""
	}
	for _, known := range explanations {
		if errors.Is(err, known.err) {
			if known.silent {
				message = ""
			}
			return known.status, message, known.hint
		}
	}
	return exitFailure, message, ""
}

// codes are the statuses of the library's error codes; others: exitFailure.
var codes = map[string]int{door.CodeHost: exitHost, door.CodeRequest: exitUsage}

var explanations = []struct {
	err    error
	status int
	hint   string
	silent bool
}{
	{err: errRejected, status: exitPartly, silent: true},
	{err: errLimited, status: exitLimit},
	{err: errTooFew, status: exitTooFew, hint: "see whether the program that wrote them has failed; in a shell, set -o pipefail shows it"},
	{err: errIncomplete, status: exitFailure, hint: "take another dump; it is complete when its last line is mn"},
	{err: errArrayCut, status: exitFailure, hint: "see whether the program that wrote it failed, and export again"},
	{err: errDumpCut, status: exitFailure, hint: "take another dump; it is complete when its last line is mn"},
	{err: errDiffer, status: exitPartly, silent: true},
	{err: errNotCopied, status: exitPartly, silent: true},
	{err: errCopyUnknown, status: exitInterrupted},
	{err: errItemsLost, status: exitPartly, silent: true},
	{err: errMissing, status: exitPartly, silent: true},
	{err: errNotStored, status: exitPartly},
	{err: errLostDump, status: exitFailure, hint: "see what memcached says on its standard error"},
	{err: errLostHot, status: exitFailure, hint: "see what memcached says on its standard error"},
	{err: errProtocolOnly, status: exitPartly, silent: true},
	{err: errInterrupted, status: exitInterrupted, silent: true},
	{err: errNoOutcome, status: exitInterrupted},
	{err: errDetached, status: exitInterrupted},
	{err: errLostLoad, status: exitFailure, hint: "see what memcached says on its standard error, then load again"},
	{err: errLostChange, status: exitFailure, hint: "see what memcached says on its standard error"},
	{err: errLostStatus, status: exitFailure, hint: "see what memcached says on its standard error"},
	{err: errSilent, status: exitNoDoor, hint: "see whether memcached runs, and is not stopped"},
	{err: errUnfinished, status: exitFailure, hint: "wait for longer (--timeout)"},
	{err: errLoading, status: exitFailure, hint: "wait for longer (--timeout), or see what memcached says on its standard error"},
	{err: errCanceled, status: exitFailure, hint: "see what memcached says on its standard error, then load again"},
	{err: door.ErrNoDoor, status: exitNoDoor,
		hint: "start memcached with the library in LD_PRELOAD; --door or $MEMCACHED_BACKDOOR says where its door is"},
	{err: door.ErrStale, status: exitNoDoor,
		hint: "the memcached that made the door is gone: start it again"},
	{err: door.ErrNotDoor, status: exitNoDoor,
		hint: "something else is at this path; --door or $MEMCACHED_BACKDOOR says where the door is"},
	{err: door.ErrPath, status: exitNoDoor,
		hint: "the path of a socket has 1 to 107 bytes; a relative path may be shorter"},
	{err: door.ErrPermission, status: exitFailure,
		hint: "the door is for the user who started memcached; MEMCACHED_BACKDOOR_MODE and MEMCACHED_BACKDOOR_GROUP, set for memcached, let others in"},
}
