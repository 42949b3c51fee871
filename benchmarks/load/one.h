// Modes with one connection, on a blocking socket. Each prints one line of JSON and returns the exit code.
#ifndef ONE_H
#define ONE_H

#include "dial.h"

// Round trips of one message after the other.
int run_rtt(const struct target *target, size_t size, long count);

// The backend floods `frames` x 64 KiB while the client sleeps, then all is read.
int run_slow(const struct target *target, long frames, double pause);

// The backend stops reading while the client pushes for so many seconds.
int run_push(const struct target *target, double seconds);

#endif
