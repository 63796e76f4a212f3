package record

import (
	"fmt"
	"strings"

	"memcached-backdoor/preload/clip"
)

// rejectJSON rejects a row that is not JSON, from the offset bad on.
func (o *objects) rejectJSON(is framed, content []byte, bad int, row *Row) Kind {
	switch {
	case is == framedOpen:
		return row.rejectFor(OpenObject, len(content), "%s", o.whyOpen(content))
	case is == framedOther && o.from == skipBlank(content, 0):
		return row.rejectFor(BadJSON, bad, "%s", begins(content[bad:]))
	}
	return row.rejectNear(BadJSON, content, bad)
}

// whyOpen says what is there instead of the closing brace.
func (o *objects) whyOpen(content []byte) string {
	if name := rowsIn(content, o.from); name != "" {
		return name
	}
	if o.quoted {
		return "its line ends in a string"
	}
	return "a line with another one follows, or the end of the input"
}

// begins says what a row begins with that is no object.
func begins(content []byte) string {
	switch b := content[0]; {
	case b == '[':
		return "an array in an array"
	case b == '"':
		return "a string"
	case b == '-', '0' <= b && b <= '9':
		return "a number"
	}
	return near(content, 0)
}

// missing says of a member that a row does not have which ones it has, or where the rows are. name is quoted.
func missing(name string, content []byte, from int) string {
	if rows := rowsIn(content, from); rows != "" {
		return name + "; " + rows
	}
	const most = 8
	var names []string
	eachMember(content, from, func(f field, _ int) bool {
		if len(names) == most {
			names = append(names, "…")
			return false
		}
		names = append(names, clip.Quote(nameOf(content, f)))
		return true
	})
	if len(names) == 0 {
		return name + "; it has none"
	}
	return name + "; its members are " + strings.Join(names, ", ")
}

// rowsIn says in which member of an object the rows seem to be: the first that is an array of objects. "": there is none.
func rowsIn(content []byte, from int) (found string) {
	eachMember(content, from, func(f field, value int) bool {
		if content[value] != '[' {
			return true
		}
		if at := skipSpace(content, value+1); at == len(content) || content[at] != '{' {
			return true
		}
		name := nameOf(content, f)
		filter := "." + name
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			filter = "." + fmt.Sprintf("[%q]", name)
		}
		if len(name) > 64 || strings.Contains(name, "'") {
			filter = ".[]"
		}
		found = fmt.Sprintf("the rows seem to be in %s: jq -c '%s[]' writes one on each line", clip.Quote(name), filter)
		return false
	})
	return found
}

// eachMember calls each with the name of each member of the object at at, and the offset of its value, until it returns
// false, or to where the object is malformed or not complete.
func eachMember(content []byte, at int, each func(name field, value int) bool) {
	at = skipSpace(content, at+1)
	for {
		name, next := scanString(content, at)
		if next < 0 {
			return
		}
		if at = skipSpace(content, next); at == len(content) || content[at] != ':' {
			return
		}
		if at = skipSpace(content, at+1); at == len(content) || !each(name, at) {
			return
		}
		if _, next = scanValue(content, at); next < 0 {
			return
		}
		if at = skipSpace(content, next); at == len(content) || content[at] != ',' {
			return
		}
		at = skipSpace(content, at+1)
	}
}

// nameOf is the name of a member.
func nameOf(content []byte, f field) string {
	name := content[f.at:f.end]
	if f.coded {
		name, _, _ = unescapeString(nil, name)
	}
	return string(name)
}
