// Package door is the way into a running memcached: a unix-domain socket of
// type SOCK_SEQPACKET at a path in the file system. The library inside
// memcached listens there, a client connects, and one connection is one call.
//
// # A call
//
// The client sends one message: a [Request] in JSON, together with the descriptor
// that is to be read or written (SCM_RIGHTS, unix(7)), and, if the request says
// so, the two that rejected rows are written to. The library answers
// with one [Reply], or, when the request asks for progress, with any number of
// replies of type "progress" and then the final one. After that the library
// closes the connection.
//
// A message that is empty, or has only white space and zero bytes,
// and comes with one descriptor, means: load these lines, with every option
// at its default. A client needs no JSON for it.
//
// A client that closes the connection, or shuts down its sending side
// (shutdown(2), SHUT_WR), cancels its call, unless the request says detach.
// After shutdown it can still read the result of what had been done.
//
// # Whose descriptors
//
// A passed descriptor is a second number for the same open file description:
// file offset and status flags are shared with the client, and with the processes
// that the client shares them with, such as its shell. So
// the library never sets O_NONBLOCK on one, and never maps one into memory (if another
// process truncated the file, memcached would get a SIGBUS). What a client sent by
// mistake is closed before the reply.
//
// The server side, [Listener], [Call], [Input], [Output] and [Stream], runs inside memcached: it
// watches the client whenever it waits, and closes every descriptor that it gets.
// A file system may block a system call for any time:
// each such call has its own goroutine, and is left behind, in bounded number, when
// the client goes. The client side is [Dial] and [Conn].
package door
