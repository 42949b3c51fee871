// How a client of the load test says hello: one TCP connection, upgrade, challenge, `connect`, hello-ok.
#ifndef DIAL_H
#define DIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct target {
  const char *host; // IPv4 address
  int port;
  const char *token; // goes into connect.params.auth
  int pid;           // of the proxy whose CPU time is measured; 0: none
};

// Bytes that are the same for all connections of a run.
struct words {
  char upgrade[512];
  size_t upgrade_size;
  uint8_t connect[1024];
  size_t connect_size;
};

// mode: what the backend does after hello, see backend.c.
void make_words(struct words *words, const struct target *target, const char *mode);

// A whole masked frame; the result is the caller's to free.
uint8_t *make_message(size_t payload_size, size_t *size);

// Writes a masked frame, returns its size.
size_t write_frame(uint8_t *out, int opcode, const void *payload, size_t size);

// A socket that is connected, or about to be when non-blocking. Exits when there is none to be had. Clients
// come from 200 loopback addresses, since one has only 28,000 ports.
int dial(const struct target *target, bool blocking);

#endif
