#define _GNU_SOURCE
#include "gateway.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "frames.h"

enum { FLOOD_FRAME = 65536, MAX_MESSAGE = 2 << 20 };

struct counters counters;
struct conn *streams;
int epoll_fd;
static char hello_payload[1 << 20];
static uint8_t input[1 << 20], echoes[4 << 20], flood_frame[MAX_HEAD + FLOOD_FRAME];
static size_t flood_size;

void load_hello(const char *path) {
  FILE *file = fopen(path, "r");
  if (!file || !fgets(hello_payload, sizeof hello_payload, file)) {
    perror(path);
    exit(1);
  }
  fclose(file);
  hello_payload[strcspn(hello_payload, "\n")] = 0;
  flood_size = write_head(flood_frame, OP_BINARY, FLOOD_FRAME, NULL);
  memset(flood_frame + flood_size, 'x', FLOOD_FRAME);
  flood_size += FLOOD_FRAME;
}

void watch(struct conn *c, uint32_t events) {
  if (c->events == events)
    return;
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
  c->events = events;
}

bool flood(struct conn *c) {
  while (c->frames_left > 0) {
    const ssize_t sent = send(c->fd, flood_frame + c->flood_at, flood_size - c->flood_at, MSG_NOSIGNAL);
    if (sent < 0) {
      watch(c, EPOLLIN | EPOLLOUT);
      return errno == EAGAIN;
    }
    counters.flood_sent += (uint64_t)sent;
    c->flood_at += (size_t)sent;
    if (c->flood_at == flood_size) {
      c->flood_at = 0;
      c->frames_left--;
    }
  }
  watch(c, EPOLLIN);
  return true;
}

static bool answer_stats(struct conn *c) {
  char body[256], response[512];
  const int size =
      snprintf(body, sizeof body, "{\"accepted\":%lu,\"open\":%lu,\"messages\":%lu,\"flood_sent\":%lu}",
               counters.accepted, counters.open - 1, counters.messages, counters.flood_sent);
  const int total =
      snprintf(response, sizeof response,
               "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", size, body);
  c->closing = true;
  return outbox_write(&c->out, c->fd, response, (size_t)total);
}

// Consumes the HTTP head when it is all there: bytes taken, 0 for more, -1 for a broken connection.
static ssize_t upgrade(struct conn *c, uint8_t *in, size_t size) {
  uint8_t *end = memmem(in, size, "\r\n\r\n", 4);
  if (!end)
    return 0;
  const ssize_t taken = end + 4 - in;
  *end = 0;
  if (!strncmp((char *)in, "GET /stats ", 11))
    return answer_stats(c) ? taken : -1;
  const char *key = strcasestr((char *)in, "\r\nsec-websocket-key:");
  if (!key)
    return -1;
  key += strlen("\r\nsec-websocket-key:");
  key += strspn(key, " ");
  char accept[ACCEPT_LENGTH + 1], head[256], challenge[256], response[1024];
  accept_key(key, strcspn(key, "\r "), accept);
  const int head_size =
      snprintf(head, sizeof head,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: %s\r\n\r\n",
               accept);
  const int size_of_challenge =
      snprintf(challenge, sizeof challenge,
               "{\"type\":\"event\",\"event\":\"connect.challenge\",\"payload\":"
               "{\"nonce\":\"da9efe9f-f954-42b0-b485-%012lx\",\"ts\":1795489382803}}",
               counters.accepted);
  memcpy(response, head, (size_t)head_size);
  size_t at = (size_t)head_size;
  at += write_head((uint8_t *)response + at, OP_TEXT, (uint64_t)size_of_challenge, NULL);
  memcpy(response + at, challenge, (size_t)size_of_challenge);
  c->state = CONNECT;
  return outbox_write(&c->out, c->fd, response, at + (size_t)size_of_challenge) ? taken : -1;
}

static double number(const char *mode, const char *name, double otherwise) {
  const char *found = strstr(mode, name);
  return found ? atof(found + strlen(name)) : otherwise;
}

static void begin_stream(struct conn *c, const char *mode) {
  c->state = STREAM;
  c->step = (uint64_t)(1e9 / number(mode, "rate=", 50));
  c->due = now_ns() + c->step * (counters.accepted % 64) / 64; // not all at once
  c->previous = NULL;
  c->next = streams;
  if (streams)
    streams->previous = c;
  streams = c;
}

// Answers `connect` with hello-ok and enters the mode that it asks for.
static bool say_hello(struct conn *c, const char *connect) {
  static char hello[sizeof hello_payload + 1024], frame[sizeof hello + MAX_HEAD];
  const char *id = strstr(connect, "\"id\":\""), *mode = strstr(connect, "\"displayName\":\"bench ");
  if (!id || !mode)
    return false;
  id += strlen("\"id\":\"");
  mode += strlen("\"displayName\":\"bench ");
  const int size =
      snprintf(hello, sizeof hello, "{\"type\":\"res\",\"id\":\"%.*s\",\"ok\":true,\"payload\":%s}",
               (int)strcspn(id, "\""), id, hello_payload);
  const size_t head = write_head((uint8_t *)frame, OP_TEXT, (uint64_t)size, NULL);
  memcpy(frame + head, hello, (size_t)size);
  if (!outbox_write(&c->out, c->fd, frame, head + (size_t)size))
    return false;
  c->frames_left = (long)number(mode, "n=", 0);
  c->stream_size = (int)number(mode, "size=", 120);
  c->state = ECHO;
  if (!strncmp(mode, "flood", 5)) {
    c->state = FLOOD;
    return flood(c);
  }
  if (!strncmp(mode, "hold", 4)) {
    c->state = HOLD;
    watch(c, 0);
  } else if (!strncmp(mode, "stream", 6)) {
    begin_stream(c, mode);
  }
  return true;
}

// Handles all whole frames: bytes taken, -1 for a broken connection.
static ssize_t handle(struct conn *c, uint8_t *in, size_t size) {
  size_t taken = 0, due = 0;
  if (c->state == UPGRADE) {
    const ssize_t head = upgrade(c, in, size);
    if (head <= 0 || c->closing)
      return head;
    taken = (size_t)head;
  }
  struct head head;
  while (read_head(in + taken, size - taken, &head)) {
    if (!head.masked || head.length > MAX_MESSAGE) {
      fprintf(stderr, "backend: a frame that is not masked, or too large\n");
      return -1;
    }
    if (size - taken < head.size + head.length)
      break;
    const uint8_t *payload = in + taken + head.size;
    taken += head.size + head.length;
    if (head.opcode == OP_CLOSE) {
      static const uint8_t normal_close[] = {0x80 | OP_CLOSE, 2, 0x03, 0xe8};
      c->closing = true;
      if (due && !outbox_write(&c->out, c->fd, echoes, due))
        return -1;
      return outbox_write(&c->out, c->fd, normal_close, sizeof normal_close) ? (ssize_t)size : -1;
    }
    if (head.opcode >= OP_CLOSE || c->state == FLOOD || c->state == STREAM)
      continue;
    counters.messages++;
    if (c->state == CONNECT) {
      static char connect[65536];
      if (head.length >= sizeof connect)
        return -1;
      copy_masked((uint8_t *)connect, payload, head.length, head.mask);
      connect[head.length] = 0;
      if (!say_hello(c, connect))
        return -1;
      if (c->state == HOLD)
        return (ssize_t)size;
      continue;
    }
    if (due + head.length + MAX_HEAD > sizeof echoes) {
      if (!outbox_write(&c->out, c->fd, echoes, due))
        return -1;
      due = 0;
    }
    due += write_head(echoes + due, head.opcode, head.length, NULL);
    copy_masked(echoes + due, payload, head.length, head.mask);
    due += head.length;
  }
  return !due || outbox_write(&c->out, c->fd, echoes, due) ? (ssize_t)taken : -1;
}

static bool keep(struct conn *c, const uint8_t *rest, size_t size) {
  const size_t room = size + MAX_HEAD + (1 << 20);
  if (c->in_room < room) {
    uint8_t *grown = malloc(room);
    if (!grown)
      return false;
    memcpy(grown, rest, size);
    free(c->in);
    c->in = grown;
    c->in_room = room;
  } else {
    memmove(c->in, rest, size);
  }
  c->in_size = size;
  return true;
}

bool readable(struct conn *c) {
  for (int turn = 0; turn < 4; turn++) {
    uint8_t *base = c->in_size ? c->in : input;
    const size_t before = c->in_size, room = (c->in_size ? c->in_room : sizeof input) - before;
    const ssize_t size = recv(c->fd, base + before, room, 0);
    if (size <= 0)
      return size < 0 && errno == EAGAIN;
    const size_t total = before + (size_t)size;
    const ssize_t taken = handle(c, base, total);
    if (taken < 0)
      return false;
    if ((size_t)taken < total) {
      if (!keep(c, base + taken, total - (size_t)taken))
        return false;
    } else if (c->in) {
      free(c->in);
      c->in = NULL;
      c->in_size = c->in_room = 0;
    }
    if (c->closing || c->state == HOLD || (size_t)size < room)
      return true;
  }
  return true;
}

void send_due_streams(void) {
  uint8_t frame[MAX_HEAD + 4096];
  const uint64_t now = now_ns();
  for (struct conn *c = streams, *next; c; c = next) {
    next = c->next;
    if (c->frames_left <= 0 || now < c->due)
      continue;
    c->due += c->step;
    c->frames_left--;
    const size_t payload = c->stream_size < 16 ? 16 : c->stream_size > 4096 ? 4096 : (size_t)c->stream_size;
    const size_t head = write_head(frame, OP_TEXT, payload, NULL);
    memset(frame + head, 'a', payload);
    char stamp[17];
    snprintf(stamp, sizeof stamp, "%016lx", now_ns());
    memcpy(frame + head, stamp, 16);
    outbox_write(&c->out, c->fd, frame, head + payload); // a broken socket is reported by epoll too
    if (c->out.size)
      watch(c, EPOLLIN | EPOLLOUT);
  }
}
