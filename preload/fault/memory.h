/* Faults that a sanitizer sees. */
#ifndef MEMORY_H
#define MEMORY_H

void write_behind(void);
void overflow(void);

#endif
