// What a run measures besides counting: CPU time of the proxy, latencies.
#ifndef MEASURE_H
#define MEASURE_H

#include <stdint.h>

// Seconds of CPU that all threads of a process have used (/proc/PID/task/*/schedstat, exact to the
// nanosecond); 0 for pid 0.
double cpu_seconds(int pid);

// Notes a latency; at most 4 million are kept.
void add_latency(uint64_t ns);

// A quantile of the latencies in microseconds, 0 when there are none.
double latency_us(double quantile);

#endif
