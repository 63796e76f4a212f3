package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// facts say in and on what a section was measured.
type facts struct {
	Memcached, Library, Kernel, CPU, Go string
	CPUs, Rounds                        int
	Scale                               float64
}

// prepare compiles the contenders and finds out where and in what they run.
func (b *bench) prepare() error {
	b.facts = facts{Go: runtime.Version(), CPUs: runtime.NumCPU(), Rounds: *rounds, Scale: *scale}
	if err := b.inspectMemcached(); err != nil {
		return err
	}
	if err := b.compile(); err != nil {
		return err
	}
	release, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return err
	}
	// What a distribution or a provider appends names its build, not the kernel.
	b.facts.Kernel, _, _ = strings.Cut(strings.TrimSpace(string(release)), "-")
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(info)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			b.facts.CPU = strings.TrimSpace(value)
		}
	}
	s, err := b.startLibrary("backdoor.so")
	if err != nil {
		return err
	}
	defer s.stop()
	b.facts.Library, err = s.waitDoor()
	return err
}

// inspectMemcached finds the program and the functions that loop.c calls.
func (b *bench) inspectMemcached() error {
	var seen struct {
		File, Memcached string
		Functions, ABI  map[string]string
	}
	out, err := exec.CommandContext(b.ctx, b.in("client"), "check", "--json", *program).Output()
	if err != nil {
		return fmt.Errorf("client check %s: %w", *program, err)
	}
	if err := json.Unmarshal(out, &seen); err != nil {
		return fmt.Errorf("client check %s: %w", *program, err)
	}
	if seen.ABI["store_item"] != "conn" || seen.ABI["chunks"] != "lazy" || seen.ABI["header"] != "wide" {
		return fmt.Errorf("%s is memcached %s; loop.c calls store_item as 1.5.15 to 1.6.18 have it",
			seen.File, seen.Memcached)
	}
	b.program, b.facts.Memcached = seen.File, seen.Memcached
	var at []string
	for _, name := range []string{"item_alloc", "store_item", "item_remove", "do_item_alloc_chunk"} {
		at = append(at, strings.TrimPrefix(seen.Functions[name], "0x"))
	}
	b.functions = strings.Join(at, ",")
	return nil
}

// compile makes the programs that are compared with, and the traffic.
func (b *bench) compile() error {
	for _, args := range [][]string{
		{"-shared", "-fPIC", "-o", b.own("loop.so"), "loop.c"},
		{"-o", b.own("protocol"), "protocol.c"},
		{"-o", b.own("dump"), "dump.c", "-lpthread"},
		{"-o", b.own("traffic"), "traffic.c"},
	} {
		cc := exec.CommandContext(b.ctx, "gcc", append([]string{"-O2", "-I../../../include"}, args...)...)
		cc.Dir = b.sources
		if out, err := cc.CombinedOutput(); err != nil {
			return fmt.Errorf("%v: %w\n%s", cc.Args, err, out)
		}
	}
	return nil
}
