// A load of OpenClaw clients, one thread. Prints one line of JSON.
//
//   client HOST PORT TOKEN PID rtt SIZE COUNT                  round trips on one connection
//   client HOST PORT TOKEN PID thr CONNS WINDOW SIZE SECONDS   echoes, WINDOW messages in flight on each
//   connection client HOST PORT TOKEN PID conn CONCURRENCY SECONDS        connect, hello, close handshake,
//   over and over client HOST PORT TOKEN PID idle CONNS                      open and hold until standard
//   input ends client HOST PORT TOKEN PID stream CONNS RATE SIZE SECONDS  messages from the backend, one-way
//   latency client HOST PORT TOKEN PID slow FRAMES PAUSE               64 KiB frames from the backend, read
//   only after PAUSE seconds client HOST PORT TOKEN PID push SECONDS                    messages to a backend
//   that does not read
//
// PID is the proxy whose CPU time is reported (seconds, from the moment when all connections are up); 0:
// nobody's.
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "many.h"
#include "one.h"

int main(int argc, char **argv) {
  if (argc < 7) {
    fprintf(stderr, "usage: client HOST PORT TOKEN PID MODE ARGUMENTS, see client.c\n");
    return 2;
  }
  signal(SIGPIPE, SIG_IGN);
  const struct target target = {argv[1], atoi(argv[2]), argv[3], atoi(argv[4])};
  const char *mode = argv[5];
  char **argument = argv + 6;
  const int given = argc - 6;
  if (!strcmp(mode, "rtt") && given == 2)
    return run_rtt(&target, (size_t)atol(argument[0]), atol(argument[1]));
  if (!strcmp(mode, "thr") && given == 4)
    return run_throughput(&target, atoi(argument[0]), atoi(argument[1]), (size_t)atol(argument[2]),
                          atof(argument[3]));
  if (!strcmp(mode, "conn") && given == 2)
    return run_cycles(&target, atoi(argument[0]), atof(argument[1]));
  if (!strcmp(mode, "idle") && given == 1)
    return run_idle(&target, atoi(argument[0]));
  if (!strcmp(mode, "stream") && given == 4)
    return run_stream(&target, atoi(argument[0]), atof(argument[1]), atoi(argument[2]), atof(argument[3]));
  if (!strcmp(mode, "slow") && given == 2)
    return run_slow(&target, atol(argument[0]), atof(argument[1]));
  if (!strcmp(mode, "push") && given == 1)
    return run_push(&target, atof(argument[0]));
  fprintf(stderr, "client: unknown mode %s with %d arguments, see client.c\n", mode, given);
  return 2;
}
