/* Lines on memcached's stderr. */
#ifndef LOG_H
#define LOG_H

/*
 * Writes one line to stderr, after the library's name.  It never waits: a line for which there is
 * no room is lost, and the next line says how many were.  Keeps errno.
 */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* say for Go, which cannot call variadic functions. */
void say_line(const char *line);

/*
 * From log_keep_stderr to log_release_stderr lines go to the stderr that memcached was started
 * with, which its -d would have closed.
 */
void log_keep_stderr(void);
void log_release_stderr(void);

#endif
