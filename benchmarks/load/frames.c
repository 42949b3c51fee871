#include "frames.h"

#include <string.h>
#include <time.h>

#include "sha1.h"

uint64_t now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

size_t write_head(uint8_t *out, int opcode, uint64_t length, const uint8_t *mask) {
  const uint8_t masked = mask ? 0x80 : 0;
  size_t size = 2;
  out[0] = 0x80 | (uint8_t)opcode;
  if (length < 126) {
    out[1] = masked | (uint8_t)length;
  } else if (length < 65536) {
    out[1] = masked | 126;
    out[2] = (uint8_t)(length >> 8);
    out[3] = (uint8_t)length;
    size = 4;
  } else {
    out[1] = masked | 127;
    for (int i = 0; i < 8; i++)
      out[2 + i] = (uint8_t)(length >> (56 - 8 * i));
    size = 10;
  }
  if (mask) {
    memcpy(out + size, mask, 4);
    size += 4;
  }
  return size;
}

bool read_head(const uint8_t *in, size_t size, struct head *head) {
  if (size < 2)
    return false;
  head->opcode = in[0] & 15;
  head->fin = in[0] & 0x80;
  head->masked = in[1] & 0x80;
  head->length = in[1] & 127;
  const int extra = head->length == 126 ? 2 : head->length == 127 ? 8 : 0;
  head->size = 2 + (size_t)extra + (head->masked ? 4 : 0);
  if (size < head->size)
    return false;
  if (extra)
    head->length = 0;
  for (int i = 0; i < extra; i++)
    head->length = head->length << 8 | in[2 + i];
  if (head->masked)
    memcpy(head->mask, in + 2 + extra, 4);
  return true;
}

void copy_masked(uint8_t *to, const uint8_t *from, size_t size, const uint8_t mask[4]) {
  uint64_t wide;
  memcpy(&wide, mask, 4);
  memcpy((uint8_t *)&wide + 4, mask, 4);
  size_t i = 0;
  for (; i + 8 <= size; i += 8) {
    uint64_t eight;
    memcpy(&eight, from + i, 8);
    eight ^= wide;
    memcpy(to + i, &eight, 8);
  }
  for (; i < size; i++)
    to[i] = from[i] ^ mask[i & 3];
}

static void base64(const uint8_t *in, size_t size, char *out) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (size_t i = 0; i < size; i += 3) {
    const uint32_t three = (uint32_t)in[i] << 16 | (i + 1 < size ? (uint32_t)in[i + 1] << 8 : 0) |
                           (i + 2 < size ? in[i + 2] : 0);
    *out++ = digits[three >> 18];
    *out++ = digits[three >> 12 & 63];
    *out++ = i + 1 < size ? digits[three >> 6 & 63] : '=';
    *out++ = i + 2 < size ? digits[three & 63] : '=';
  }
  *out = 0;
}

void accept_key(const char *key, size_t key_length, char accept[ACCEPT_LENGTH + 1]) {
  static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  uint8_t text[128], digest[20];
  if (key_length > sizeof text - sizeof guid)
    key_length = sizeof text - sizeof guid;
  memcpy(text, key, key_length);
  memcpy(text + key_length, guid, sizeof guid - 1);
  sha1(text, key_length + sizeof guid - 1, digest);
  base64(digest, sizeof digest, accept);
}
