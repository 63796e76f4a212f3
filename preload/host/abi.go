package host

import "fmt"

// ABI names what differs between versions in calling memcached's functions and in the memory that they share with us.
type ABI struct {
	ItemAlloc ItemAllocABI `json:"item_alloc"`
	ItemGet   ItemGetABI   `json:"item_get"`
	StoreItem StoreItemABI `json:"store_item"`
	Header    HeaderABI    `json:"header"`
	Chunks    ChunksABI    `json:"chunks"`
}

func (a ABI) String() string {
	return fmt.Sprintf("item_alloc %s, item_get %s, store_item %s, header %s, chunks %s",
		a.ItemAlloc, a.ItemGet, a.StoreItem, a.Header, a.Chunks)
}

// ItemAllocABI says what do_item_alloc takes behind item_alloc's arguments (items.c: do_item_alloc).
type ItemAllocABI string

// What it takes.
const (
	AllocHash  ItemAllocABI = "hash"  // to 1.4.28: cur_hv, the hash of a key whose lock the caller holds; item_alloc passes 0
	AllocPlain ItemAllocABI = "plain" // nothing
)

// ItemGetABI says what item_get takes behind key and nkey (thread.c: item_get).
type ItemGetABI string

// What it takes.
const (
	GetKey    ItemGetABI = "key"    // 1.4.25: nothing
	GetConn   ItemGetABI = "conn"   // to 1.4.34: a conn
	GetUpdate ItemGetABI = "update" // what store_item takes, conn or thread, and do_update
)

// StoreItemABI says what store_item takes behind item and comm (thread.c: store_item).
type StoreItemABI string

// What it takes.
const (
	StoreConn   StoreItemABI = "conn"   // to 1.6.18: a conn
	StoreThread StoreItemABI = "thread" // 1.6.19: a LIBEVENT_THREAD, cas, cas_stale
	StoreNbytes StoreItemABI = "nbytes" // to 1.6.26: nbytes too, before cas
	StoreCASIn  StoreItemABI = "cas_in" // the CAS value to store too, which get_cas_id makes
)

// HeaderABI says what stands behind an item's refcount (memcached.h: struct _stritem).
type HeaderABI string

// What stands there.
const (
	HeaderSuffix HeaderABI = "suffix" // to 1.5.14: nsuffix, the length of what stands between key and data, and 8 bits of it_flags
	HeaderWide   HeaderABI = "wide"   // 16 bits of it_flags
)

// ChunksABI says where the chunks of a large item come from (memcached.h: struct _strchunk).
type ChunksABI string

// Where they come from.
const (
	ChunksNone  ChunksABI = "none"  // to 1.4.28: every item is of one piece
	ChunksReady ChunksABI = "ready" // to 1.4.35: item_alloc allocates all of them
	ChunksLazy  ChunksABI = "lazy"  // do_item_alloc_chunk allocates them one by one
)

// ABI returns the ABI of a released version between oldest and newest.
func (v Version) ABI() ABI {
	a := ABI{ItemAlloc: AllocHash, ItemGet: GetKey, StoreItem: StoreConn, Header: HeaderSuffix, Chunks: ChunksNone}
	for _, change := range []struct {
		since Version
		apply func()
	}{
		{Version{1, 4, 26}, func() { a.ItemGet = GetConn }},
		{Version{1, 4, 29}, func() { a.ItemAlloc, a.Chunks = AllocPlain, ChunksReady }},
		{Version{1, 4, 35}, func() { a.ItemGet = GetUpdate }},
		{Version{1, 4, 36}, func() { a.Chunks = ChunksLazy }},
		{Version{1, 5, 15}, func() { a.Header = HeaderWide }},
		{Version{1, 6, 19}, func() { a.StoreItem = StoreThread }},
		{Version{1, 6, 20}, func() { a.StoreItem = StoreNbytes }},
		{Version{1, 6, 27}, func() { a.StoreItem = StoreCASIn }},
	} {
		if v.AtLeast(change.since) {
			change.apply()
		}
	}
	return a
}
