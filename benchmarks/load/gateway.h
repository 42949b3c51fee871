// One connection of the backend: what a gateway says to a client.
#ifndef GATEWAY_H
#define GATEWAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "outbox.h"

enum state { UPGRADE, CONNECT, ECHO, FLOOD, STREAM, HOLD };

struct conn {
  int fd;
  enum state state;
  bool closing;
  uint32_t events;
  struct outbox out;
  uint8_t *in; // the beginning of a frame or head that is not all there
  size_t in_size, in_room;
  long frames_left;
  int stream_size;
  uint64_t due, step;
  size_t flood_at;
  struct conn *next, *previous; // in `streams`
};

// Since the backend's start.
struct counters {
  uint64_t accepted, open, messages, flood_sent;
};
extern struct counters counters;

extern struct conn *streams; // connections that are streamed to
extern int epoll_fd;

// Reads the payload of hello-ok from a file of one line; exits when it can't.
void load_hello(const char *path);

// Changes what epoll watches for on a connection.
void watch(struct conn *c, uint32_t events);

// Reads and answers; false when the connection is broken.
bool readable(struct conn *c);

// Sends as much of the flood as is taken; false when the connection is broken.
bool flood(struct conn *c);

// Sends to each of `streams` the message that is due.
void send_due_streams(void);

#endif
