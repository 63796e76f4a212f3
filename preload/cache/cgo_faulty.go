//go:build faulty

package cache

/*
#cgo CFLAGS: -DCHECK_INVARIANTS
*/
import "C"
