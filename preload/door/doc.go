// Package door is the way into a running memcached: a unix-domain socket of
// type SOCK_SEQPACKET at a path in the file system. The library inside
// memcached listens there, a client connects, and one connection is one call.
//
// # A call
//
// The client sends one message: a [Request] in JSON, with the descriptor that
// is to be read passed beside it (SCM_RIGHTS, unix(7)), and, where the request says
// so, the two that rejected rows are written to. The library answers
// with one [Reply], or, when the request asks for progress, with any number of
// replies of type "progress" and then the final one. After that the library
// closes the connection.
//
// A message that is empty, or holds nothing but white space and zero bytes,
// and has one descriptor beside it, means: load these lines, with every option
// at its default. It is the call without arguments for which a client needs no
// JSON at all.
//
// A client that closes the connection, or shuts down its sending side
// (shutdown(2), SHUT_WR), cancels its call, unless the request says detach.
// With the latter it can still read the result of what had been done.
//
// # Whose descriptors
//
// A passed descriptor is a second number for the same open file description:
// file offset and status flags are shared with the client, and with whatever
// the client shares them with in turn, such as the terminal of its shell. So
// nothing here ever sets O_NONBLOCK on one, or maps one into memory (another
// process's truncation would be a SIGBUS in memcached). What a client sent by
// mistake is closed before anything is answered.
//
// The server side, [Listener], [Call], [Input] and [Output], runs inside memcached: it
// never waits without also watching the client, and takes no descriptor that it does
// not give back. System calls of files may block for as long as the file system likes:
// they are made on goroutines of their own, and left behind, in bounded number, when
// the client goes. The client side is [Dial] and [Conn].
package door
