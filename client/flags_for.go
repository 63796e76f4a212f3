package main

import (
	"fmt"
	"strings"
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
	bytes string // what the bytes of the value must be
}

const (
	decimal = "decimal digits, with or without a sign"
	number  = "a decimal number such as `1.5` or `1e9`"
	truth   = "`1`; false: `0` or nothing"
	phpMade = "what PHP's `serialize` writes"
)

// clientLibraries is the table of FLAGS.md. The flags are those that the library itself sets for the type.
var clientLibraries = []clientLibrary{
	{"php", "php-memcached 3.2.0, `php_memcached.c`", []valueType{
		{"string", 0, "string", "any"},
		{"int", 1, "int", decimal},
		{"float", 2, "float", number},
		{"bool", 3, "bool", truth},
		{"json", 6, "what `json_decode` returns", "JSON"},
		{"serialized", 4, "what `unserialize` returns", phpMade},
	}},
	{"php-memcache", "pecl memcache 4.0.5.2, `memcache_pool.c`", []valueType{
		{"string", 0, "string", "any"},
		{"int", 0x300, "int", decimal},
		{"float", 0x700, "float", number},
		{"bool", 0x100, "bool", truth},
		{"serialized", 1, "what `unserialize` returns", phpMade},
	}},
	{"pylibmc", "pylibmc 1.6.3, `_pylibmcmodule.c`", []valueType{
		{"bytes", 0, "bytes", "any"},
		{"string", 16, "str", "UTF-8"},
		{"int", 4, "int", decimal},
	}},
	{"pymemcache", "pymemcache 3.5.2, `serde.py`", []valueType{
		{"bytes", 0, "bytes", "any"},
		{"string", 16, "str", "UTF-8"},
		{"int", 2, "int", decimal},
	}},
	{"python-memcached", "python-memcached 1.59, `memcache.py`", []valueType{
		{"bytes", 0, "bytes", "any"},
		{"string", 16, "str", "UTF-8"},
		{"int", 2, "int", decimal},
	}},
	{"bmemcached", "python-binary-memcached 0.31.1, `protocol.py`", []valueType{
		{"bytes", 16, "bytes", "any"},
		{"string", 0, "str", "UTF-8"},
		{"int", 2, "int", decimal},
	}},
	{"dalli", "Dalli 3.0.6 and 5.0.6, `value_serializer.rb`", []valueType{
		{"bytes", 0, "String, binary", "any"},
		{"string", 4, "String, UTF-8; before 5.0.4 binary", "UTF-8"},
		{"json", 1, "what `JSON.load` returns", "JSON"},
	}},
	{"cache-memcached-fast", "Cache::Memcached::Fast 0.28, `Fast.xs`", []valueType{
		{"bytes", 0, "a string of bytes", "any"},
		{"string", 4, "a string of characters", "UTF-8"},
	}},
	{"spymemcached", "spymemcached 2.12.3, `SerializingTranscoder.java`", []valueType{
		{"bytes", 0x800, "byte[]", "any"},
		{"string", 0, "String", "UTF-8"},
		{"bool", 0x100, "Boolean", "`1`; false: `0`"},
	}},
	{"node-memcached", "npm memcached 2.2.2, `memcached.js`", []valueType{
		{"string", 0, "string", "UTF-8 without a carriage return or a backslash before a line feed"},
		{"number", 8, "number", number},
		{"json", 2, "what `JSON.parse` returns", "JSON without a carriage return before a line feed"},
	}},
	{"memcache-client", "npm memcache-client 1.0.5, `value-packer.js`", []valueType{
		{"bytes", 8, "Buffer", "any"},
		{"string", 0, "string", "UTF-8"},
		{"number", 4, "number", number},
		{"json", 2, "what `JSON.parse` returns", "JSON"},
	}},
	{"enyim", "EnyimMemcached 2.16, `DefaultTranscoder.cs`", []valueType{
		{"bytes", 0xfa52, "Byte[]", "any"},
		{"string", 0x112, "String", "UTF-8"},
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

// flagsFor is the client flags of a row, chosen by the library and the type that is to be read.
type flagsFor uint32

// UnmarshalText reads a name.
func (f *flagsFor) UnmarshalText(text []byte) error {
	var names []string
	for _, n := range flagsNames() {
		if n.name == string(text) {
			*f = flagsFor(n.flags)
			return nil
		}
		names = append(names, n.name)
	}
	return fmt.Errorf("there is no %q; the names are %s", text, strings.Join(names, ", "))
}
