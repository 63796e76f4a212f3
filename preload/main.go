// The library follows the machine's number of cores as it was at the start: doing
// so for ever would cost two descriptors and a wake-up now and then.
//go:debug containermaxprocs=0
//go:debug updatemaxprocs=0

package main

// version is set by the Makefile.
var version = "unknown"

// A c-shared library needs a main; it is never called.
func main() {}
