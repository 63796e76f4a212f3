package door

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// The names of all options on the wire, with a value, by the operations that take them.
var wire = map[string]map[string]string{
	OpLoad: {
		"ttl": "60", "ttl_jitter": `"10%"`, "flags": "7", "value_type": `"json"`, "mode": `"add"`, "from": `"csv"`, "null": `"skip"`, "header": "true", "key": `"k"`, "value": `"v"`,
		"delimiter": `";"`, "quote": `"'"`, "escape": `"none"`, "decode": `"hex"`, "allow_extra": "true", "key_prefix": `"p"`, "hash_long_keys": `"sha256"`,
		"ttl_column": `"t"`, "expires_column": `"e"`, "flags_column": `"f"`, "json_columns": `"j"`, "rejects": "true", "max_errors": `"5%"`, "resume": "true",
		"dry_run": "true", "detach": "true", "rate": "9", "gentle": "true", "progress": "true",
		"prefix": `"p"`, "match": `"m"`, "regex": `"r"`, "min_size": "1", "min_ttl": "5", "never_expires": "true",
	},
	OpDump: {
		"to": `"csv"`, "prefix": `"p"`, "match": `"m"`, "regex": `"r"`, "min_size": "1", "older_than": "1", "min_ttl": "5", "never_expires": "true", "keys_only": "true", "keys": "true", "progress": "true",
	},
	OpHot: {
		"rank_by": `"bytes"`, "count": "5", "duration": "1.5", "sample": "7", "key_parts": "2", "key_delimiter": `"_"`, "progress": "true",
	},
	OpDelete: {
		"prefix": `"p"`, "match": `"m"`, "regex": `"r"`, "min_size": "1", "older_than": "1", "min_ttl": "5", "never_expires": "true", "keys": "true",
		"invalidate": "true", "rate": "9", "gentle": "true", "dry_run": "true", "progress": "true",
	},
	OpTouch: {
		"prefix": `"p"`, "match": `"m"`, "regex": `"r"`, "min_size": "1", "older_than": "1", "min_ttl": "5", "never_expires": "true", "keys": "true",
		"new_ttl": "60", "new_ttl_jitter": `"10%"`, "rate": "9", "gentle": "true", "dry_run": "true", "progress": "true",
	},
	OpStatus: {"slabs": "true", "stats": "1000"},
}

// Every option is known under its name, taken by its operations, and rejected by its name by the others.
func TestOptions(t *testing.T) {
	for _, options := range wire {
		for name, value := range options {
			for op, takes := range wire {
				which := ""
				if (op == OpDelete || op == OpTouch) && name != "keys" {
					which = `,"keys":true` // a delete and a touch need that, or a condition
				}
				request, err := parseRequest([]byte(`{"version":1,"op":"` + op + `","` + name + `":` + value + which + `}`))
				if _, ok := takes[name]; !ok {
					wantError(t, err, CodeRequest, "the op "+op+" does not take the option "+name)
					continue
				}
				if err != nil {
					t.Errorf("%s with %s: %v", op, name, err)
				}
				if sent, err := json.Marshal(request); err != nil || !strings.Contains(string(sent), `"`+name+`":`+value) {
					t.Errorf("%s is sent as %s, %v", name, sent, err)
				}
			}
		}
	}
	// Of the limits and the changes, delete and touch take some.
	changes := slices.DeleteFunc(fields(reflect.TypeFor[Filter](), reflect.TypeFor[Limits]()), func(name string) bool { return name == "max_errors" })
	for op, names := range map[string][]string{
		OpLoad: fields(reflect.TypeFor[Rows](), reflect.TypeFor[Limits]()), OpDump: fields(reflect.TypeFor[Items](), reflect.TypeFor[Filter]()),
		OpHot: fields(reflect.TypeFor[Hot]()), OpDelete: changes, OpTouch: changes, "": fields(reflect.TypeFor[Change]()),
	} {
		for _, option := range names {
			_, ok := wire[op][option]
			if op == "" {
				_, deletes := wire[OpDelete][option]
				_, touches := wire[OpTouch][option]
				ok = deletes != touches
			}
			if !ok {
				t.Errorf("no test of the option %q", option)
			}
		}
	}
}

// The values of options are checked, too.
func TestChangeOptions(t *testing.T) {
	for data, want := range map[string]string{
		`{"version":1,"op":"touch","match":"*","new_ttl":-1}`:         "the ttl is negative: -1 s",
		`{"version":1,"op":"touch","match":"*","new_ttl":9999999999}`: "the ttl is too large: 9999999999 s; the largest is 2147483647 s",
	} {
		if _, err := parseRequest([]byte(data)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}

// fields are the names in JSON of the fields of structs.
func fields(types ...reflect.Type) (names []string) {
	for _, of := range types {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if !slices.Contains([]string{"", "-"}, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// What a request cannot have is called by its name, wherever its field is.
func TestOptionOfWrongType(t *testing.T) {
	for data, want := range map[string]string{
		`{"version":1,"op":"load","ttl":"1"}`:    "ttl cannot be a JSON string: it is of type int64",
		`{"version":1,"op":"load","mode":1}`:     "mode cannot be a JSON number: it is of type string",
		`{"version":1,"op":"load","rate":-1}`:    "rate cannot be a JSON number -1: it is of type uint64",
		`{"version":1,"op":"dump","prefix":[]}`:  "prefix cannot be a JSON array: it is of type string",
		`{"version":1,"op":"load","ValueMax":1}`: `this library does not know the option "ValueMax"`,
	} {
		if _, err := parseRequest([]byte(data)); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", data, err, want)
		}
	}
}
