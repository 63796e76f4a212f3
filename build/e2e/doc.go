// Package e2e is the end-to-end tests: the library that was built, the client
// that was built, and real memcacheds, databases and clients.  `make test` builds
// what they need and runs them.
package e2e
