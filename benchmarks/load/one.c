#define _GNU_SOURCE
#include "one.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "measure.h"

static uint8_t buffer[1 << 18];

static void fail(const char *what) {
  fprintf(stderr, "client: %s: %s\n", what, strerror(errno));
  exit(3);
}

static void read_all(int fd, void *to, size_t size) {
  for (size_t at = 0; at < size;) {
    const ssize_t got = recv(fd, (uint8_t *)to + at, size - at, 0);
    if (got <= 0)
      fail("the connection ended");
    at += (size_t)got;
  }
}

static void write_all(int fd, const void *from, size_t size) {
  for (size_t at = 0; at < size;) {
    const ssize_t sent = send(fd, (const uint8_t *)from + at, size - at, MSG_NOSIGNAL);
    if (sent <= 0)
      fail("send");
    at += (size_t)sent;
  }
}

// Reads a data frame; `buffer` has its last piece. Returns its payload's size.
static uint64_t read_frame(int fd) {
  struct head head;
  uint8_t raw[MAX_HEAD];
  do {
    size_t have = 0;
    do {
      read_all(fd, raw + have, 1);
      have++;
    } while (!read_head(raw, have, &head));
    for (uint64_t left = head.length; left;) {
      const size_t piece = left < sizeof buffer ? (size_t)left : sizeof buffer;
      read_all(fd, buffer, piece);
      left -= piece;
    }
    if (head.opcode == OP_CLOSE)
      fail("closed by the other side");
  } while (head.opcode > OP_CLOSE);
  return head.length;
}

static int hello(const struct target *target, const char *mode) {
  struct words words;
  make_words(&words, target, mode);
  const int fd = dial(target, true);
  write_all(fd, words.upgrade, words.upgrade_size);
  char response[4096];
  size_t size = 0;
  do {
    if (size == sizeof response)
      fail("no end of the response head");
    read_all(fd, response + size++, 1);
  } while (size < 4 || memcmp(response + size - 4, "\r\n\r\n", 4));
  if (strncmp(response, "HTTP/1.1 101", 12))
    fail("no upgrade");
  read_frame(fd); // challenge
  write_all(fd, words.connect, words.connect_size);
  const uint64_t length = read_frame(fd);
  if (!memmem(buffer, (size_t)length, "\"ok\":true", 9))
    fail("no hello-ok");
  return fd;
}

int run_rtt(const struct target *target, size_t size, long count) {
  size_t message_size;
  uint8_t *message = make_message(size, &message_size);
  const int fd = hello(target, "echo");
  const long warm = count / 10;
  double before = 0;
  for (long i = 0; i < count + warm; i++) {
    if (i == warm)
      before = cpu_seconds(target->pid);
    const uint64_t start = now_ns();
    write_all(fd, message, message_size);
    if (read_frame(fd) != size)
      fail("an echo of another length");
    if (i >= warm)
      add_latency(now_ns() - start);
  }
  printf("{\"cpu\":%.6f,\"echoes\":%ld,\"p50_us\":%.1f,\"p99_us\":%.1f}\n", cpu_seconds(target->pid) - before,
         count, latency_us(.5), latency_us(.99));
  free(message);
  return 0;
}

int run_slow(const struct target *target, long frames, double pause) {
  char mode[64];
  snprintf(mode, sizeof mode, "flood n=%ld", frames);
  const int fd = hello(target, mode);
  usleep((useconds_t)(pause * 1e6));
  uint64_t bytes = 0;
  for (long i = 0; i < frames; i++)
    bytes += read_frame(fd);
  printf("{\"bytes\":%lu}\n", bytes);
  return 0;
}

int run_push(const struct target *target, double seconds) {
  size_t size, at = 0;
  uint8_t *message = make_message(16384, &size);
  const int fd = hello(target, "hold");
  fcntl(fd, F_SETFL, O_NONBLOCK);
  uint64_t taken = 0;
  for (const uint64_t end = now_ns() + (uint64_t)(seconds * 1e9); now_ns() < end;) {
    const ssize_t sent = send(fd, message + at, size - at, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN)
        fail("push");
      usleep(2000);
      continue;
    }
    taken += (uint64_t)sent;
    at = (at + (size_t)sent) % size;
  }
  printf("{\"taken\":%lu}\n", taken);
  free(message);
  return 0;
}
