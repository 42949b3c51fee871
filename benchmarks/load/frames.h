// WebSocket bytes that both programs need: frame heads, masks, the accept key (RFC 6455 sections 4.2.2 and
// 5).
#ifndef FRAMES_H
#define FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };
enum { MAX_HEAD = 14, ACCEPT_LENGTH = 28 };

struct head {
  int opcode;
  bool fin, masked;
  uint8_t mask[4];
  uint64_t length; // of the payload
  size_t size;     // of the head itself
};

// Nanoseconds of the monotonic clock.
uint64_t now_ns(void);

// Writes the head of an unfragmented frame, returns its size. mask: four bytes, or NULL for a server's frame.
size_t write_head(uint8_t *out, int opcode, uint64_t length, const uint8_t *mask);

// Reads a head; false when it is not all there.
bool read_head(const uint8_t *in, size_t size, struct head *head);

// Copies a payload, masking or unmasking it.
void copy_masked(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[4]);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key, with a terminating zero.
void accept_key(const char *key, size_t key_length, char accept[ACCEPT_LENGTH + 1]);

#endif
