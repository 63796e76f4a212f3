package door

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"memcached-backdoor/preload/clip"
	"memcached-backdoor/preload/filter"
	"memcached-backdoor/preload/limits"
	"memcached-backdoor/preload/record"
)

// hintNewer is the hint when a client asks for what this library does not know.
const hintNewer = "the client is newer than the library in memcached: restart memcached with the library that came with the client"

// parseRequest decodes and checks a request. The error is always an [*Error].
func parseRequest(data []byte) (Request, error) {
	// A zero byte counts as empty: libraries send one instead of
	// nothing (golang.org/x/sys/unix.SendmsgN), as does much C code, for on a
	// stream socket descriptors need a byte to travel with.
	if len(bytes.Trim(data, " \t\r\n\x00")) == 0 {
		return Request{Version: Protocol, Op: OpLoad}, nil
	}

	// The version is checked first: this library does not know
	// what else a request of another version may have.
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

	if !utf8.Valid(data) { // package json would replace what is not
		return Request{}, fail(CodeRequest, "", "the request is not UTF-8")
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

// jsonError says what is wrong with a request in the words of the protocol,
// not in Go's.
func jsonError(err error) *Error {
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fail(CodeRequest, hintNewer, "this library does not know the option %s", field)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return fail(CodeRequest, "", "the request is not a JSON object but a JSON %s", e.Value)
		}
		_, name, ok := strings.Cut(e.Field, ".") // of an embedded struct Go says its name, too
		if !ok {
			name = e.Field
		}
		return fail(CodeRequest, "", "%s cannot be a JSON %s: it is of type %s", name, e.Value, e.Type.Kind())
	}
	return fail(CodeRequest, "", "the request is not JSON: %v", err)
}

// check checks the values of a request. The error is an [*Error].
func (r *Request) check() error {
	switch r.Op {
	case OpLoad, OpDump, OpDelete, OpTouch, OpHot, OpStatus:
	case "":
		return fail(CodeRequest, "", "the request does not say its op: load, dump, delete, touch, hot or status")
	default:
		return fail(CodeRequest, hintNewer, "this library does not know the op %s", clip.Quote(r.Op))
	}
	if err := r.checkOptions(); err != nil {
		return err
	}
	switch r.Op {
	case OpLoad:
		return r.checkLoad()
	case OpDelete, OpTouch:
		return r.checkChange()
	}
	return nil
}

// checkChange checks the options of a delete and a touch: each takes some that have no meaning for the other.
func (r *Request) checkChange() error {
	switch {
	case r.MaxErrors != "":
		return fail(CodeRequest, "", "the op %s does not take the option max_errors", r.Op)
	case r.Op == OpTouch && r.Invalidate:
		return fail(CodeRequest, "", "the op touch does not take the option invalidate")
	case r.Op == OpDelete && r.NewTTL != 0:
		return fail(CodeRequest, "", "the op delete does not take the option new_ttl")
	case r.Op == OpDelete && r.NewTTLJitter != "":
		return fail(CodeRequest, "", "the op delete does not take the option new_ttl_jitter")
	case r.Filter == (filter.Options{}) && !r.Keys: // an empty variable of a client's must not delete all
		return fail(CodeRequest, `"match":"*" means all`, "no condition says which items the op %s is for", r.Op)
	}
	return checkTTL(r.NewTTL)
}

// checkOptions rejects options that mean nothing for the op.
func (r *Request) checkOptions() error {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		field := v.Type().Field(i)
		ops, isOption := field.Tag.Lookup("op")
		if isOption && !v.Field(i).IsZero() && !slices.Contains(strings.Fields(ops), r.Op) {
			return fail(CodeRequest, "", "the op %s does not take the option %s", r.Op, optionName(field, v.Field(i)))
		}
	}
	return nil
}

// optionName is the name in JSON of a field that is set; of one that has options, that of the first of them that is
// set.
func optionName(field reflect.StructField, v reflect.Value) string {
	for i := 0; field.Anonymous && i < v.NumField(); i++ {
		if !v.Field(i).IsZero() {
			field = v.Type().Field(i)
		}
	}
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

func (r *Request) checkLoad() error {
	if r.Mode != "" && !slices.Contains(record.Modes, r.Mode) {
		return fail(CodeRequest, "the modes are "+record.List(record.Modes, " and "), "this library does not know the mode %s", clip.Quote(r.Mode))
	}
	if _, err := limits.ParseMaxErrors(r.MaxErrors); err != nil {
		return fail(CodeRequest, "a number of rows, or a part of them, such as 5%", "%v", err)
	}
	if r.OlderThan != 0 {
		return fail(CodeRequest, "a row does not say when it was used", "the op load does not take the option older_than")
	}
	if r.Resume && r.DryRun {
		return fail(CodeRequest, "", "a dry run stores nothing that could be resumed")
	}
	return checkTTL(r.TTL)
}

func checkTTL(ttl int64) error {
	switch {
	case ttl < 0:
		return fail(CodeRequest, "0 means for ever", "the ttl is negative: %d s", ttl)
	case ttl > record.TTLMax:
		return fail(CodeRequest, "the ttl is a number of seconds from now, never a date; 0 means for ever",
			"the ttl is too large: %d s; the largest is %d s", ttl, record.TTLMax)
	}
	return nil
}
