package protocol

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// maxDescriptors is the limit of the search for memcached's listening sockets, which are
// among its first descriptors.
const maxDescriptors = 1 << 16

// Address is the address of a socket of this process that accepts connections.
type Address struct{ unix.Sockaddr }

func (a Address) String() string {
	switch s := a.Sockaddr.(type) {
	case *unix.SockaddrUnix:
		return fmt.Sprintf("%q", s.Name)
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port)).String()
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port)).String()
	}
	return "an address"
}

// Listening lists the addresses at which this process accepts stream connections, in the
// order in which they are to be tried: unix sockets, then the others.  It tries all
// descriptors, since /proc/self/fd may not be read after -u.
//
// It is called before the door is served: later there are descriptors of clients.
func Listening() []Address {
	limit := unix.Rlimit{Cur: maxDescriptors}
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit)
	var found []Address
	for fd := range int(min(limit.Cur, maxDescriptors)) {
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || n == 0 {
			continue
		}
		if n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || n != unix.SOCK_STREAM {
			continue // the door
		}
		if s, err := unix.Getsockname(fd); err == nil && reachable(s) {
			found = append(found, Address{s})
		}
	}
	slices.SortStableFunc(found, func(a, b Address) int { return cmp.Compare(a.order(), b.order()) })
	return found
}

func (a Address) order() int {
	if _, ok := a.Sockaddr.(*unix.SockaddrUnix); ok {
		return 0
	}
	return 1
}

// reachable changes the address to which a socket is bound into one to which a client
// can connect, and reports whether there is one.
func reachable(s unix.Sockaddr) bool {
	switch s := s.(type) {
	case *unix.SockaddrUnix:
		return s.Name != ""
	case *unix.SockaddrInet4:
		if netip.AddrFrom4(s.Addr).IsUnspecified() {
			s.Addr = [4]byte{127, 0, 0, 1}
		}
		return true
	case *unix.SockaddrInet6:
		if netip.AddrFrom16(s.Addr).IsUnspecified() {
			s.Addr = netip.IPv6Loopback().As16()
		}
		return true
	}
	return false
}
