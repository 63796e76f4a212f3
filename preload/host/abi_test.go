package host

import "testing"

// The versions around every change (thread.c: store_item, memcached.h: struct _stritem, at the tags of these names).
func TestABI(t *testing.T) {
	t.Parallel()
	for version, want := range map[Version]ABI{
		{1, 5, 6}:  {StoreConn, Flags8},
		{1, 5, 14}: {StoreConn, Flags8},
		{1, 5, 15}: {StoreConn, Flags16},
		{1, 6, 18}: {StoreConn, Flags16},
		{1, 6, 19}: {StoreThread, Flags16},
		{1, 6, 20}: {StoreNbytes, Flags16},
		{1, 6, 26}: {StoreNbytes, Flags16},
		{1, 6, 27}: {StoreCASIn, Flags16},
		{1, 6, 45}: {StoreCASIn, Flags16},
	} {
		if got := version.ABI(); got != want {
			t.Errorf("%v: %v, want %v", version, got, want)
		}
	}
}
