package host

import (
	"bytes"
	"slices"
	"testing"
)

// The table is found in the code, on every route.  TestScanIsSymbols tells whether what is found is right.
func TestTable(t *testing.T) {
	t.Parallel()
	for _, name := range []string{stockHost, symtabHost, exportedHost} {
		facts, err := Find(bytes.NewReader(readHost(t, name)), DebugFiles{})
		if err != nil {
			t.Fatal(err)
		}
		found := facts.Table
		if found.Hash == 0 || found.AssocStartExpand == 0 || found.MaintenanceLock == 0 || found.MaxBytes == 0 {
			t.Errorf("%s: %+x", name, found)
		}
	}
}

// A function that is assoc_start_expand but for one thing is not taken for it.
func TestNotStartExpand(t *testing.T) {
	t.Parallel()
	data := readHost(t, stockHost)
	facts, err := Find(bytes.NewReader(data), DebugFiles{})
	if err != nil {
		t.Fatal(err)
	}
	p, _ := opened(t, data)
	p.readImports()
	if p.funcs, err = p.readFunctions(); err != nil {
		t.Fatal(err)
	}
	f, _ := p.functionAt(facts.Table.AssocStartExpand)
	real := p.traced(f)
	if lock, ok := p.isStartExpand(real); !ok || lock != facts.Table.MaintenanceLock {
		t.Fatalf("lock %#x, %v", lock, ok)
	}
	named := func(calls []call, name string) *call {
		return &calls[slices.IndexFunc(calls, func(c call) bool { return c.name == name })]
	}
	lockAt := func(c *call, at uint64) {
		c.args = slices.Clone(c.args)
		c.args[0] = value{kind: constant, n: int64(at)}
	}
	for name, change := range map[string]func(t *trace){
		"another lock is unlocked": func(t *trace) { lockAt(named(t.calls, "pthread_mutex_unlock"), facts.Table.MaintenanceLock+64) },
		"a lock in the code": func(t *trace) {
			lockAt(named(t.calls, "pthread_mutex_trylock"), facts.Functions.StoreItem)
			lockAt(named(t.calls, "pthread_mutex_unlock"), facts.Functions.StoreItem)
		},
		"it waits for the lock": func(t *trace) { named(t.calls, "pthread_mutex_trylock").name = "pthread_mutex_lock" },
		"it may not try":        func(t *trace) { named(t.calls, "pthread_mutex_trylock").entry = false },
		"it signals nobody": func(t *trace) {
			t.calls = slices.DeleteFunc(t.calls, func(c call) bool { return c.name == "pthread_cond_signal" })
		},
		"it calls more": func(t *trace) { t.calls = append(t.calls, call{callee: callee{name: "abort"}}) },
		"it writes": func(t *trace) {
			t.stores = append(t.stores, store{place: place{base: value{kind: constant, n: 4096}, plain: true}, size: 8})
		},
	} {
		changed := *real
		changed.calls = slices.Clone(real.calls)
		change(&changed)
		if _, ok := p.isStartExpand(&changed); ok {
			t.Errorf("%s: taken for assoc_start_expand", name)
		}
	}
}
