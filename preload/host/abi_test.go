package host

import "testing"

func TestABI(t *testing.T) {
	t.Parallel()
	// The first and the last version of each.
	for _, tt := range []struct {
		first, last Version
		want        ABI
	}{
		{oldest, Version{1, 4, 25}, ABI{AllocHash, GetKey, StoreConn, HeaderSuffix, ChunksNone}},
		{Version{1, 4, 26}, Version{1, 4, 28}, ABI{AllocHash, GetConn, StoreConn, HeaderSuffix, ChunksNone}},
		{Version{1, 4, 29}, Version{1, 4, 34}, ABI{AllocPlain, GetConn, StoreConn, HeaderSuffix, ChunksReady}},
		{Version{1, 4, 35}, Version{1, 4, 35}, ABI{AllocPlain, GetUpdate, StoreConn, HeaderSuffix, ChunksReady}},
		{Version{1, 4, 36}, Version{1, 5, 14}, ABI{AllocPlain, GetUpdate, StoreConn, HeaderSuffix, ChunksLazy}},
		{Version{1, 5, 15}, Version{1, 6, 18}, ABI{AllocPlain, GetUpdate, StoreConn, HeaderWide, ChunksLazy}},
		{Version{1, 6, 19}, Version{1, 6, 19}, ABI{AllocPlain, GetUpdate, StoreThread, HeaderWide, ChunksLazy}},
		{Version{1, 6, 20}, Version{1, 6, 26}, ABI{AllocPlain, GetUpdate, StoreNbytes, HeaderWide, ChunksLazy}},
		{Version{1, 6, 27}, newest, ABI{AllocPlain, GetUpdate, StoreCASIn, HeaderWide, ChunksLazy}},
	} {
		for _, v := range []Version{tt.first, tt.last} {
			if got := v.ABI(); got != tt.want {
				t.Errorf("%v: %+v, want %+v", v, got, tt.want)
			}
		}
	}
}
