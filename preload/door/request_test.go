package door

import (
	"errors"
	"reflect"
	"testing"

	"memcached-backdoor/preload/record"
)

func TestParseRequest(t *testing.T) {
	load := Request{Version: 1, Op: OpLoad}
	for _, test := range []struct {
		name string
		data string
		want Request
	}{
		{"empty", "", load},
		{"white space", " \r\n\t", load},
		{"zero byte", "\x00", load},
		{"load", `{"version":1,"op":"load"}`, load},
		{"white space around", " {\"version\":1,\"op\":\"load\"}\n", load},
		{"load with everything", `{"version":1,"op":"load","ttl":60,"flags":4294967295,"mode":"add","rate":1000,"gentle":true,"detach":true,"progress":true}`,
			Request{Version: 1, Op: OpLoad, Rows: Rows{TTL: 60, Flags: 1<<32 - 1, Mode: record.ModeAdd}, Limits: Limits{Rate: 1000, Gentle: true}, Detach: true, Progress: true}},
		{"replace", `{"version":1,"op":"load","mode":"replace"}`, Request{Version: 1, Op: OpLoad, Rows: Rows{Mode: record.ModeReplace}}},
		{"ttl above 30 days", `{"version":1,"op":"load","ttl":2592001}`, Request{Version: 1, Op: OpLoad, Rows: Rows{TTL: 2592001}}},
		{"largest ttl", `{"version":1,"op":"load","ttl":2147483647}`, Request{Version: 1, Op: OpLoad, Rows: Rows{TTL: record.TTLMax}}},
		{"status", `{"version":1,"op":"status"}`, Request{Version: 1, Op: OpStatus}},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := parseRequest([]byte(test.data))
			if err != nil {
				t.Fatal(err)
			}
			if got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestParseRequestError(t *testing.T) {
	for _, test := range []struct {
		name    string
		data    string
		code    string
		message string
		hint    bool
	}{
		{"no version", `{"op":"load"}`, CodeVersion, "does not say its version; this library speaks version 1", false},
		{"null", `null`, CodeVersion, "does not say its version", false},
		{"version 0", `{"version":0,"op":"load"}`, CodeVersion, "is of version 0; this library speaks version 1", true},
		{"version 2", `{"version":2,"op":"load"}`, CodeVersion, "is of version 2; this library speaks version 1", true},
		{"version 2 with what it brings", `{"version":2,"op":"dance","partner":[]}`, CodeVersion, "is of version 2", true},
		{"version as a string", `{"version":"1","op":"load"}`, CodeRequest, "version cannot be a JSON string", false},
		{"unknown option", `{"version":1,"op":"load","colour":"red"}`, CodeRequest, `does not know the option "colour"`, true},
		{"unknown op", `{"version":1,"op":"dance"}`, CodeRequest, `does not know the op "dance"`, true},
		{"no op", `{"version":1}`, CodeRequest, "does not say its op", false},
		{"unknown mode", `{"version":1,"op":"load","mode":"append"}`, CodeRequest, `does not know the mode "append"`, true},
		{"negative ttl", `{"version":1,"op":"load","ttl":-1}`, CodeRequest, "ttl is negative", true},
		{"ttl of 33 bits", `{"version":1,"op":"load","ttl":2147483648}`, CodeRequest, "ttl is too large", true},
		{"ttl of 65 bits", `{"version":1,"op":"load","ttl":18446744073709551616}`, CodeRequest, "ttl cannot be a JSON number 18446744073709551616", false},
		{"fraction as ttl", `{"version":1,"op":"load","ttl":1.5}`, CodeRequest, "ttl cannot be a JSON number 1.5", false},
		{"negative flags", `{"version":1,"op":"load","flags":-1}`, CodeRequest, "flags cannot be", false},
		{"status with ttl", `{"version":1,"op":"status","ttl":1}`, CodeRequest, "does not take the option ttl", false},
		{"status with flags", `{"version":1,"op":"status","flags":1}`, CodeRequest, "does not take the option flags", false},
		{"status with mode", `{"version":1,"op":"status","mode":"set"}`, CodeRequest, "does not take the option mode", false},
		{"status with detach", `{"version":1,"op":"status","detach":true}`, CodeRequest, "does not take the option detach", false},
		{"status with rate", `{"version":1,"op":"status","rate":1}`, CodeRequest, "does not take the option rate", false},
		{"status with gentle", `{"version":1,"op":"status","gentle":true}`, CodeRequest, "does not take the option gentle", false},
		{"negative rate", `{"version":1,"op":"load","rate":-1}`, CodeRequest, "rate cannot be a JSON number -1", false},
		{"status with progress", `{"version":1,"op":"status","progress":true}`, CodeRequest, "does not take the option progress", false},
		{"array", `[]`, CodeRequest, "not a JSON object but a JSON array", false},
		{"two objects", `{"version":1,"op":"load"}{}`, CodeRequest, "is not JSON", false},
		{"text", `get a`, CodeRequest, "is not JSON", false},
		{"cut off", `{"version":1,`, CodeRequest, "is not JSON", false},
		{"a row", "key\tvalue\n", CodeRequest, "is not JSON", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := parseRequest([]byte(test.data))
			wantError(t, err, test.code, test.message)
			var e *Error
			if errors.As(err, &e) && (e.Hint != "") != test.hint {
				t.Errorf("hint is %q", e.Hint)
			}
		})
	}
}

func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"", "\x00", " ", "null", "{}", "[]", "0", `"`,
		`{"version":1,"op":"load"}`,
		`{"version":1,"op":"load","ttl":60,"flags":7,"mode":"add","rate":1000,"gentle":true,"detach":true,"progress":true}`,
		`{"version":1,"op":"status"}`,
		`{"version":1,"op":"status","mode":"set"}`,
		`{"version":2,"op":"load","new":{}}`,
		`{"version":1,"VERSION":2,"op":"load"}`,
		`{"version":1,"op":"load","ttl":1e3}`,
		`{"version":1,"op":"load","mode":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		req, err := parseRequest(data)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code == "" || e.Message == "" {
				t.Fatalf("not an *Error with a code and a message: %#v", err)
			}
			if !reflect.ValueOf(req).IsZero() {
				t.Fatalf("error %v, and yet a request: %+v", err, req)
			}
			if _, err := encode(Reply{Error: e}); err != nil {
				t.Fatalf("the error cannot be sent: %v", err)
			}
			return
		}
		if req.Version != Protocol || req.check() != nil {
			t.Fatalf("invalid request: %+v", req)
		}
	})
}
