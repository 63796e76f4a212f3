// Package fault makes the library fail where a test asks for it. Only a library that is built with the
// tag faulty obeys; in any other its functions do nothing.
package fault
