package main

import (
	"fmt"
	"strings"

	"memcached-backdoor/preload/door"
	"memcached-backdoor/preload/record"
)

// A clientLibrary is what applications read the cache with. It tells by an item's flags which type the value has.
type clientLibrary struct {
	name   string // the first part of the names of --flags-for
	source string // the library with the version that was read and tried, and its file that has the flags
	types  []valueType
}

// A valueType is a type of values that a row can hold. A type whose bytes the library packs or pickles in its own way has
// no name here.
type valueType struct {
	name  string
	flags uint32
	read  string // what the application gets, in the words of its language
	bytes content
}

// content is what the bytes of a value must be: for a person, and for the load, which rejects others. A load does not know
// all that a library takes.
type content struct {
	words string
	is    record.ValueType
}

var (
	ofBytes  = content{"any", ""}
	ofText   = content{"UTF-8", record.TypeText}
	ofJSON   = content{"JSON", record.TypeJSON}
	ofDigits = content{"decimal digits, with or without a sign", record.TypeInteger}
	ofInt64  = content{"decimal digits, with or without a sign, for 64 bits", record.TypeInt64}
	ofNumber = content{"a decimal number such as `1.5` or `1e9`", record.TypeNumber}
	ofTruth  = content{"`1`; false: `0` or nothing", record.TypeBoolean}
	ofPHP    = content{"what PHP's `serialize` writes", ""}
)

// clientLibraries is the table of FLAGS.md. The flags are those that the library itself sets for the type.
var clientLibraries = []clientLibrary{
	{"php", "php-memcached 3.2.0, `php_memcached.c`", []valueType{
		{"string", 0, "string", ofBytes},
		{"int", 1, "int", ofInt64},
		{"float", 2, "float", ofNumber},
		{"bool", 3, "bool", ofTruth},
		{"json", 6, "what `json_decode` returns", ofJSON},
		{"serialized", 4, "what `unserialize` returns", ofPHP},
	}},
	{"php-memcache", "pecl memcache 4.0.5.2, `memcache_pool.c`", []valueType{
		{"string", 0, "string", ofBytes},
		{"int", 0x300, "int", ofInt64},
		{"float", 0x700, "float", ofNumber},
		{"bool", 0x100, "bool", ofTruth},
		{"serialized", 1, "what `unserialize` returns", ofPHP},
	}},
	{"pylibmc", "pylibmc 1.6.3, `_pylibmcmodule.c`", []valueType{
		{"bytes", 0, "bytes", ofBytes},
		{"string", 16, "str", ofText},
		{"int", 4, "int", ofDigits},
	}},
	{"pymemcache", "pymemcache 3.5.2, `serde.py`", []valueType{
		{"bytes", 0, "bytes", ofBytes},
		{"string", 16, "str", ofText},
		{"int", 2, "int", ofDigits},
	}},
	{"python-memcached", "python-memcached 1.59, `memcache.py`", []valueType{
		{"bytes", 0, "bytes", ofBytes},
		{"string", 16, "str", ofText},
		{"int", 2, "int", ofDigits},
	}},
	{"bmemcached", "python-binary-memcached 0.31.1, `protocol.py`", []valueType{
		{"bytes", 16, "bytes", ofBytes},
		{"string", 0, "str", ofText},
		{"int", 2, "int", ofDigits},
	}},
	{"dalli", "Dalli 3.0.6 and 5.0.6, `value_serializer.rb`", []valueType{
		{"bytes", 0, "String, binary", ofBytes},
		{"string", 4, "String, UTF-8; before 5.0.4 binary", ofText},
		{"json", 1, "what `JSON.load` returns", ofJSON},
	}},
	{"cache-memcached-fast", "Cache::Memcached::Fast 0.28, `Fast.xs`", []valueType{
		{"bytes", 0, "a string of bytes", ofBytes},
		{"string", 4, "a string of characters", ofText},
	}},
	{"spymemcached", "spymemcached 2.12.3, `SerializingTranscoder.java`", []valueType{
		{"bytes", 0x800, "byte[]", ofBytes},
		{"string", 0, "String", ofText},
		{"bool", 0x100, "Boolean", content{"`1`; false: `0`", record.TypeBoolean}},
	}},
	{"node-memcached", "npm memcached 2.2.2, `memcached.js`", []valueType{
		{"string", 0, "string", content{"UTF-8 without a carriage return or a backslash before a line feed", record.TypeText}},
		{"number", 8, "number", ofNumber},
		{"json", 2, "what `JSON.parse` returns", content{"JSON without a carriage return before a line feed", record.TypeJSON}},
	}},
	{"memcache-client", "npm memcache-client 1.0.5, `value-packer.js`", []valueType{
		{"bytes", 8, "Buffer", ofBytes},
		{"string", 0, "string", ofText},
		{"number", 4, "number", ofNumber},
		{"json", 2, "what `JSON.parse` returns", ofJSON},
	}},
	{"enyim", "EnyimMemcached 2.16, `DefaultTranscoder.cs`", []valueType{
		{"bytes", 0xfa52, "Byte[]", ofBytes},
		{"string", 0x112, "String", ofText},
	}},
}

// A flagsName is a name of --flags-for, with what the value must be for it.
type flagsName struct {
	name string
	valueType
}

func flagsNames() []flagsName {
	var all []flagsName
	for _, library := range clientLibraries {
		for _, t := range library.types {
			all = append(all, flagsName{library.name + "-" + t.name, t})
		}
	}
	return all
}

// flagsFor is a name of --flags-for; "": there is none.
type flagsFor string

// UnmarshalText reads a name.
func (f *flagsFor) UnmarshalText(text []byte) error {
	var names []string
	for _, n := range flagsNames() {
		if n.name == string(text) {
			*f = flagsFor(text)
			return nil
		}
		names = append(names, n.name)
	}
	return fmt.Errorf("there is no %q; the names are %s", text, strings.Join(names, ", "))
}

// add makes a request say the flags, and what the values must be.
func (f flagsFor) add(request *door.Request) {
	for _, n := range flagsNames() {
		if n.name == string(f) {
			request.Flags, request.ValueType = n.flags, n.bytes.is
		}
	}
}
