//go:build !faulty

package main

// beforeAnswer does nothing; see fault_faulty.go.
func beforeAnswer() {}
