package door

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"memcached-backdoor/preload/record"
)

// hintNewer is the way out when a client asks for what this library never heard of.
const hintNewer = "the client is newer than the library in memcached: restart memcached with the library that came with the client"

// parseRequest decodes and checks a request. The error is always an [*Error].
func parseRequest(data []byte) (Request, error) {
	// The zero byte counts as empty because libraries send one in the place of
	// nothing (golang.org/x/sys/unix.SendmsgN), as does much C code: on a
	// stream socket, descriptors need a byte to travel with.
	if len(bytes.Trim(data, " \t\r\n\x00")) == 0 {
		return Request{Version: Protocol, Op: OpLoad}, nil
	}

	// The version comes first, by itself: what else a request of another
	// version holds is not for this library to judge.
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Request{}, jsonError(err)
	}
	switch {
	case head.Version == nil:
		return Request{}, fail(CodeVersion, "", "the request does not say its version; this library speaks version %d", Protocol)
	case *head.Version > Protocol:
		return Request{}, fail(CodeVersion, hintNewer, "the request is of version %d; this library speaks version %d", *head.Version, Protocol)
	case *head.Version < Protocol:
		return Request{}, fail(CodeVersion, "use the client that came with the library in memcached",
			"the request is of version %d; this library speaks version %d", *head.Version, Protocol)
	}

	var req Request
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&req); err != nil {
		return Request{}, jsonError(err)
	}
	if err := req.check(); err != nil {
		return Request{}, err
	}
	return req, nil
}

// jsonError says what is wrong with a request in the words of the protocol
// instead of Go's.
func jsonError(err error) *Error {
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fail(CodeRequest, hintNewer, "this library does not know the option %s", field)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return fail(CodeRequest, "", "the request is not a JSON object but a JSON %s", e.Value)
		}
		return fail(CodeRequest, "", "%s cannot be a JSON %s: it is of type %s", e.Field, e.Value, e.Type)
	}
	return fail(CodeRequest, "", "the request is not JSON: %v", err)
}

// check reports what is wrong with the values of a request, as an [*Error].
func (r *Request) check() error {
	switch r.Op {
	case OpLoad, OpDump, OpStatus:
	case "":
		return fail(CodeRequest, "", "the request does not say its op: load, dump or status")
	default:
		return fail(CodeRequest, hintNewer, "this library does not know the op %q", clip(r.Op))
	}
	if err := r.checkOptions(); err != nil {
		return err
	}
	if r.Op == OpLoad {
		return r.checkLoad()
	}
	return nil
}

// checkOptions refuses options that mean nothing for the op.
func (r *Request) checkOptions() error {
	for _, option := range []struct {
		name string
		set  bool
		ops  string
	}{
		{"ttl", r.TTL != 0, OpLoad},
		{"flags", r.Flags != 0, OpLoad},
		{"mode", r.Mode != "", OpLoad},
		{"from", r.From != "", OpLoad},
		{"null", r.Null != "", OpLoad},
		{"header", r.Header, OpLoad},
		{"key", r.Key != "", OpLoad},
		{"value", r.Value != "", OpLoad},
		{"ttl_column", r.TTLColumn != "", OpLoad},
		{"expires_column", r.ExpiresColumn != "", OpLoad},
		{"flags_column", r.FlagsColumn != "", OpLoad},
		{"rejects", r.Rejects, OpLoad},
		{"max_errors", r.MaxErrors != "", OpLoad},
		{"resume", r.Resume, OpLoad},
		{"dry_run", r.DryRun, OpLoad},
		{"detach", r.Detach, OpLoad},
		{"rate", r.Rate != 0, OpLoad},
		{"gentle", r.Gentle, OpLoad},
		{"to", r.To != "", OpDump},
		{"prefix", r.Prefix != "", OpDump},
		{"match", r.Match != "", OpDump},
		{"min_ttl", r.MinTTL != 0, OpDump},
		{"keys_only", r.KeysOnly, OpDump},
		{"progress", r.Progress, OpLoad + " " + OpDump},
	} {
		if option.set && !strings.Contains(option.ops, r.Op) {
			return fail(CodeRequest, "", "the op %s does not take the option %s", r.Op, option.name)
		}
	}
	return nil
}

func (r *Request) checkLoad() error {
	switch r.Mode {
	case "", ModeSet, ModeAdd, ModeReplace:
	default:
		return fail(CodeRequest, "the modes are set, add and replace", "this library does not know the mode %q", clip(string(r.Mode)))
	}
	if r.Resume && r.DryRun {
		return fail(CodeRequest, "", "a dry run stores nothing that could be resumed")
	}
	if r.TTL < 0 {
		return fail(CodeRequest, "0 means for ever", "the ttl is negative: %d s", r.TTL)
	}
	if r.TTL > record.TTLMax {
		return fail(CodeRequest, "the ttl is a number of seconds from now, never a date; 0 means for ever",
			"the ttl is too large: %d s; the largest is %d s", r.TTL, record.TTLMax)
	}
	return nil
}

// clip shortens what a client sent before it goes into a message.
func clip(s string) string {
	const most = 64
	if len(s) > most {
		return s[:most]
	}
	return s
}
