package host

import "fmt"

// ABI is what of memcached's functions and items looks different from version to version.
type ABI struct {
	StoreItem StoreItem
	ItemFlags ItemFlags
}

// ABI returns what a supported version has.
func (v Version) ABI() ABI {
	abi := ABI{StoreConn, Flags8}
	switch {
	case v.AtLeast(storeCASGive):
		abi.StoreItem = StoreCASIn
	case v.AtLeast(storeNbytes):
		abi.StoreItem = StoreNbytes
	case v.AtLeast(storeThread):
		abi.StoreItem = StoreThread
	}
	if v.AtLeast(wideFlags) {
		abi.ItemFlags = Flags16
	}
	return abi
}

func (a ABI) String() string { return fmt.Sprintf("%s, %s", a.StoreItem, a.ItemFlags) }

// StoreItem is the signature of store_item (thread.c).
type StoreItem string

// The signatures, oldest first.
const (
	StoreConn   StoreItem = "store_item(item, comm, conn)"
	StoreThread StoreItem = "store_item(item, comm, thread, cas, cas_stale)"
	StoreNbytes StoreItem = "store_item(item, comm, thread, nbytes, cas, cas_stale)"
	StoreCASIn  StoreItem = "store_item(item, comm, thread, nbytes, cas, cas_in, cas_stale)"
)

// ItemFlags is where an item has its it_flags, and with them how what follows is laid out (memcached.h: struct _stritem).
type ItemFlags string

// The layouts, oldest first.
const (
	Flags8  ItemFlags = "8-bit it_flags at 39"
	Flags16 ItemFlags = "16-bit it_flags at 38"
)
