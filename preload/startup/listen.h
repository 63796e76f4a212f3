/* The door's listening socket, attached to a path. */
#ifndef LISTEN_H
#define LISTEN_H

/*
 * Binds the socket and listens, with the rights of the user who started memcached, before -u drops
 * them.  The socket is inherited through memcached's fork (-d); calls that arrive before memcached
 * is ready wait in the backlog.
 */
void listen_attach(void);

/* Unlinks the door if it is still this process's and may be unlinked; if not, the next start
 * replaces it. */
void listen_detach(void);

/* Moves the socket to a reserved number, once these are known. */
void listen_settle(void);

/* The listening socket, or -1; then listen_reason is the reason. */
int listen_socket(void);
const char *listen_reason(void);

/* Detaches and closes the door for a reason. */
void listen_abandon(const char *reason);

#endif
