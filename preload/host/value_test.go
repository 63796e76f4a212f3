package host

import "testing"

// An argument on the stack that one of two ways has written over is not the argument any more, whichever way comes first.
func TestJoinArgument(t *testing.T) {
	t.Parallel()
	kept, written := entryState(&amd64), entryState(&amd64)
	at := amd64.above
	written.storeStack(at, slot{value{kind: constant, n: 1}, 8})
	for name, states := range map[string][]*state{"kept first": {kept, written}, "written first": {written, kept}} {
		if v, ok := join(0x1000, states).loadStack(at, 8); !ok || v.kind != joined {
			t.Errorf("%s: %+v, %v", name, v, ok)
		}
	}
	if v, ok := join(0x1000, []*state{kept, kept}).loadStack(at, 8); !ok || !v.isArg(len(amd64.args)) {
		t.Errorf("not written: %+v, %v", v, ok)
	}
}

// What changes is given up; what stays is kept, and what was given up is not taken back.
func TestWiden(t *testing.T) {
	t.Parallel()
	const block, slotAt = 0x1000, -16
	before, now := entryState(&amd64), entryState(&amd64)
	before.storeStack(slotAt, slot{value{kind: constant, n: 1}, 8})
	now.storeStack(slotAt, slot{value{kind: constant, n: 2}, 8})
	now.regs[rbx] = value{kind: constant, n: 3}
	now.storeStack(amd64.above, slot{value{kind: constant, n: 4}, 8})
	again := now.clone()
	now.widen(block, before)
	again.widen(block, now)
	for name, s := range map[string]*state{"once": now, "again": again} {
		if v := s.regs[rbx]; !v.is(joined, block) {
			t.Errorf("%s: a register that changed is %+v", name, v)
		}
		if v := s.regs[rdi]; !v.isArg(0) {
			t.Errorf("%s: a register that stayed is %+v", name, v)
		}
		for _, at := range []int64{slotAt, amd64.above} {
			if v, ok := s.loadStack(at, 8); !ok || !v.is(joined, block) {
				t.Errorf("%s: what changed on the stack at %d is %+v, %v", name, at, v, ok)
			}
		}
	}
}
