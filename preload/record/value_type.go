package record

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"unicode/utf8"

	"memcached-backdoor/preload/clip"
)

// A ValueType is what the bytes of a value must be, for a reader that takes them for more than bytes.
type ValueType string

// The types.
const (
	TypeText    ValueType = "text"    // UTF-8
	TypeInteger ValueType = "integer" // decimal digits, with or without a sign
	TypeInt64   ValueType = "int64"   // an integer that 64 bits with a sign hold
	TypeNumber  ValueType = "number"  // a decimal number
	TypeBoolean ValueType = "boolean" // 1, 0 or nothing
	TypeJSON    ValueType = "json"
)

// ValueTypes are all of them.
var ValueTypes = []ValueType{TypeText, TypeInteger, TypeInt64, TypeNumber, TypeBoolean, TypeJSON}

// BadType is the reason to reject a value.
const BadType Reason = "the value is not of its type"

var (
	integer = regexp.MustCompile(`^[+-]?\d+$`)
	decimal = regexp.MustCompile(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$`)
)

// holds reports whether a value is of the type.
func (t ValueType) holds(value []byte) bool {
	switch t {
	case TypeText:
		return utf8.Valid(value)
	case TypeInteger:
		return integer.Match(value)
	case TypeInt64:
		_, err := strconv.ParseInt(string(value), 10, 64)
		return err == nil
	case TypeNumber:
		n, err := strconv.ParseFloat(string(value), 64)
		return err == nil && !math.IsInf(n, 0) && decimal.Match(value)
	case TypeBoolean:
		return len(value) == 0 || string(value) == "0" || string(value) == "1"
	case TypeJSON:
		return json.Valid(value)
	}
	return true
}

// checkType rejects an item whose value is not of the type that its flags tell. A row may have flags of its own, which
// tell another type.
func (o *Options) checkType(row *Row, data []byte) Kind {
	if row.Oversize || row.Flags != o.Flags {
		return Item
	}
	value := row.Value.Of(data)
	if o.ValueType.holds(value) {
		return Item
	}
	at := 0
	if row.Value.Made == nil {
		at = row.Value.At
	}
	row.Known = true
	return row.rejectFor(BadType, at, "%s is no %s", clip.Quote(value), o.ValueType)
}
