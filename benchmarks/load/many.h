// Modes with many connections, on epoll. Each prints one line of JSON and returns the exit code.
#ifndef MANY_H
#define MANY_H

#include "dial.h"

// Echoes on `connections`, `window` messages in flight on each, for so many seconds after all are up.
int run_throughput(const struct target *target, int connections, int window, size_t size, double seconds);

// Whole cycles, `connections` at a time: connect, hello, close handshake, TCP close.
int run_cycles(const struct target *target, int connections, double seconds);

// Opens connections, prints when all are up, holds them until its standard input ends.
int run_idle(const struct target *target, int connections);

// The backend sends `rate` messages a second of `size` bytes on each connection.
int run_stream(const struct target *target, int connections, double rate, int size, double seconds);

#endif
