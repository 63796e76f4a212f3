// Package option has the error of an option of a request that has no meaning.
package option

import "fmt"

// An Error is an option that has no meaning, by itself or in its place.
type Error struct{ Message, Hint string }

func (e *Error) Error() string { return e.Message }

// Errorf makes an [*Error]; the hint may be "".
func Errorf(hint, format string, args ...any) *Error {
	return &Error{Message: fmt.Sprintf(format, args...), Hint: hint}
}
