/* Delaying memcached's end until the cache has been saved. */
#ifndef SHUTDOWN_H
#define SHUTDOWN_H

/* Takes over the signals that end memcached, and waits for one of them. */
void shutdown_await(void);

/* Passes the signal that came to memcached. */
void shutdown_proceed(void);

#endif
