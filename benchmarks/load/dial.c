#define _GNU_SOURCE
#include "dial.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "frames.h"

enum { SOURCE_ADDRESSES = 200 };

size_t write_frame(uint8_t *out, int opcode, const void *payload, size_t size) {
  static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
  const size_t head = write_head(out, opcode, size, mask);
  copy_masked(out + head, payload, size, mask);
  return head + size;
}

void make_words(struct words *words, const struct target *target, const char *mode) {
  char connect[900];
  words->upgrade_size = (size_t)snprintf(
      words->upgrade, sizeof words->upgrade,
      "GET / HTTP/1.1\r\nHost: %s:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nUser-Agent: load\r\n\r\n",
      target->host, target->port);
  const int size = snprintf(
      connect, sizeof connect,
      "{\"type\":\"req\",\"id\":\"1:cdaf1dde-c0cd-458f-a3a1-43c707dc36c5\",\"method\":\"connect\",\"params\":"
      "{\"minProtocol\":4,\"maxProtocol\":4,\"client\":{\"id\":\"cli\",\"displayName\":\"bench %s\","
      "\"version\":\"2026.9.6\",\"platform\":\"linux\",\"mode\":\"cli\"},\"caps\":[],\"auth\":{\"token\":\"%"
      "s\"},"
      "\"role\":\"operator\",\"scopes\":[\"operator.read\",\"operator.write\"]}}",
      mode, target->token);
  words->connect_size = write_frame(words->connect, OP_TEXT, connect, (size_t)size);
}

uint8_t *make_message(size_t payload_size, size_t *size) {
  static const char start[] = "{\"type\":\"req\",\"id\":\"1\",\"method\":\"chat.send\",\"params\":{\"m\":\"",
                    end[] = "\"}}";
  const size_t fixed = sizeof start - 1 + sizeof end - 1;
  uint8_t *payload = malloc(payload_size + fixed), *frame = malloc(payload_size + fixed + MAX_HEAD);
  if (!payload || !frame)
    abort();
  if (payload_size < fixed)
    payload_size = fixed;
  memset(payload, 'x', payload_size);
  memcpy(payload, start, sizeof start - 1);
  memcpy(payload + payload_size - (sizeof end - 1), end, sizeof end - 1);
  *size = write_frame(frame, OP_TEXT, payload, payload_size);
  free(payload);
  return frame;
}

int dial(const struct target *target, bool blocking) {
  static uint32_t sequence;
  const int on = 1, fd = socket(AF_INET, SOCK_STREAM | (blocking ? 0 : SOCK_NONBLOCK), 0);
  if (fd < 0) {
    perror("client: socket");
    exit(2);
  }
  struct sockaddr_in source = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + sequence++ % SOURCE_ADDRESSES)};
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)target->port)};
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&source, sizeof source) ||
      inet_pton(AF_INET, target->host, &to.sin_addr) != 1 ||
      (connect(fd, (struct sockaddr *)&to, sizeof to) && errno != EINPROGRESS)) {
    perror("client: connect");
    exit(2);
  }
  return fd;
}
