#define _GNU_SOURCE
#include "many.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "frames.h"
#include "measure.h"
#include "outbox.h"

enum { OPENING_AT_ONCE = 128, MAX_ERRORS = 50, GIVE_UP_SECONDS = 120, OPENING_SECONDS = 20, STAMP = 16 };

// Each names what is waited for.
enum phase { DIAL, UPGRADE, CHALLENGE, HELLO, RUNNING, CLOSING };

struct conn {
  int fd;
  enum phase phase;
  uint32_t events;
  struct outbox out;
  uint8_t head[MAX_HEAD]; // of the current frame, as far as it has come
  size_t head_size;
  struct head frame;
  uint64_t left; // payload bytes of the current frame still to come
  bool in_payload;
  char stamp[STAMP + 1]; // the payload's first bytes
  size_t stamp_size;
  uint64_t opened;
};

// What a run is: fixed at its start.
struct plan {
  enum { THROUGHPUT, CYCLES, IDLE, STREAMING } kind;
  const struct target *target;
  struct words words;
  int connections, window;
  uint8_t *message;
  size_t message_size;
  double seconds;
};

// How it stands.
struct run {
  struct conn *conns;
  int epoll, opened, opening, ready, errors;
  bool running;
  uint64_t started, messages, bytes, cycles;
  double cpu_before;
};

static uint8_t buffer[1 << 18];

static double since(uint64_t start) { return (double)(now_ns() - start) / 1e9; }

static void watch(struct run *run, struct conn *c, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = c};
  epoll_ctl(run->epoll, operation, c->fd, &event);
  c->events = events;
}

static bool write_out(struct run *run, struct conn *c, const void *data, size_t size) {
  if (!outbox_write(&c->out, c->fd, data, size))
    return false;
  if (c->out.size && !(c->events & EPOLLOUT))
    watch(run, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
  return true;
}

static void open_one(const struct plan *plan, struct run *run, struct conn *c) {
  outbox_free(&c->out);
  memset(c, 0, sizeof *c);
  c->opened = now_ns();
  c->fd = dial(plan->target, false);
  watch(run, c, EPOLLIN | EPOLLOUT, EPOLL_CTL_ADD);
  run->opening++;
}

static bool send_messages(const struct plan *plan, struct run *run, struct conn *c, int count) {
  static uint8_t *batch;
  static size_t room;
  if (room < plan->message_size * (size_t)count) {
    room = plan->message_size * (size_t)count;
    batch = realloc(batch, room);
    if (!batch)
      abort();
  }
  for (int i = 0; i < count; i++)
    memcpy(batch + (size_t)i * plan->message_size, plan->message, plan->message_size);
  return write_out(run, c, batch, plan->message_size * (size_t)count);
}

static void start(const struct plan *plan, struct run *run) {
  run->running = true;
  run->started = now_ns();
  run->cpu_before = cpu_seconds(plan->target->pid);
  run->messages = run->bytes = 0;
  for (int i = 0; plan->kind == THROUGHPUT && i < plan->connections; i++)
    run->errors += !send_messages(plan, run, &run->conns[i], plan->window);
}

// A connection has its hello.
static bool greeted(const struct plan *plan, struct run *run, struct conn *c) {
  run->opening--;
  if (plan->kind == CYCLES) {
    static const uint8_t normal[2] = {0x03, 0xe8};
    uint8_t frame[MAX_HEAD + sizeof normal];
    add_latency(now_ns() - c->opened);
    c->phase = CLOSING;
    run->opening++; // until it is closed
    return write_out(run, c, frame, write_frame(frame, OP_CLOSE, normal, sizeof normal));
  }
  c->phase = RUNNING;
  if (++run->ready == plan->connections && plan->kind != IDLE)
    start(plan, run);
  return true;
}

enum verdict { GOOD, BROKEN, CLOSED };

// One data frame is complete.
static enum verdict message(const struct plan *plan, struct run *run, struct conn *c, int *echoes) {
  switch (c->phase) {
  case CHALLENGE:
    c->phase = HELLO;
    return write_out(run, c, plan->words.connect, plan->words.connect_size) ? GOOD : BROKEN;
  case HELLO:
    if (memcmp(c->stamp, "{\"type\":\"res\",\"i", STAMP))
      return BROKEN;
    return greeted(plan, run, c) ? GOOD : BROKEN;
  case RUNNING:
    run->messages++;
    (*echoes)++;
    if (plan->kind == STREAMING && run->running && since(run->started) > 1) {
      const uint64_t sent = strtoull(c->stamp, NULL, 16), now = now_ns();
      add_latency(now > sent ? now - sent : 0);
    }
    return GOOD;
  default:
    return GOOD;
  }
}

// Follows frames through what was received.
static enum verdict feed(const struct plan *plan, struct run *run, struct conn *c, const uint8_t *in,
                         size_t size) {
  int echoes = 0;
  for (size_t at = 0; at < size;) {
    if (!c->in_payload) {
      c->head[c->head_size++] = in[at++];
      if (!read_head(c->head, c->head_size, &c->frame))
        continue;
      c->head_size = c->stamp_size = 0;
      c->left = c->frame.length;
      c->in_payload = true;
    }
    if (c->stamp_size < STAMP) {
      size_t piece = STAMP - c->stamp_size;
      piece = piece < c->left ? piece : (size_t)c->left;
      piece = piece < size - at ? piece : size - at;
      memcpy(c->stamp + c->stamp_size, in + at, piece);
      c->stamp_size += piece;
      c->left -= piece;
      at += piece;
      run->bytes += piece;
    }
    const size_t piece = c->left < size - at ? (size_t)c->left : size - at;
    c->left -= piece;
    at += piece;
    run->bytes += piece;
    if (c->left || (c->stamp_size < STAMP && c->stamp_size < c->frame.length))
      continue;
    c->in_payload = false;
    if (c->frame.opcode == OP_CLOSE)
      return c->phase == CLOSING ? CLOSED : BROKEN;
    if (c->frame.opcode > OP_CLOSE || !c->frame.fin)
      continue;
    const enum verdict verdict = message(plan, run, c, &echoes);
    if (verdict != GOOD)
      return verdict;
  }
  if (plan->kind == THROUGHPUT && run->running && echoes && !send_messages(plan, run, c, echoes))
    return BROKEN;
  return GOOD;
}

static enum verdict receive(const struct plan *plan, struct run *run, struct conn *c) {
  const ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
  if (size < 0 && errno == EAGAIN)
    return GOOD;
  if (size <= 0)
    return BROKEN;
  size_t at = 0;
  if (c->phase == UPGRADE) { // the response head comes in one piece from all that is measured here
    const uint8_t *end = memmem(buffer, (size_t)size, "\r\n\r\n", 4);
    if (!end || memcmp(buffer, "HTTP/1.1 101", 12))
      return BROKEN;
    c->phase = CHALLENGE;
    at = (size_t)(end + 4 - buffer);
  }
  return feed(plan, run, c, buffer + at, (size_t)size - at);
}

static enum verdict ready(const struct plan *plan, struct run *run, struct conn *c, uint32_t events) {
  if (events & EPOLLOUT) {
    if (c->phase == DIAL) {
      c->phase = UPGRADE;
      watch(run, c, EPOLLIN, EPOLL_CTL_MOD);
      if (!write_out(run, c, plan->words.upgrade, plan->words.upgrade_size))
        return BROKEN;
    } else if (!outbox_flush(&c->out, c->fd)) {
      return BROKEN;
    } else if (!c->out.size) {
      watch(run, c, EPOLLIN, EPOLL_CTL_MOD);
    }
  }
  return events & (EPOLLIN | EPOLLHUP | EPOLLERR) ? receive(plan, run, c) : GOOD;
}

static void ended(const struct plan *plan, struct run *run, struct conn *c, enum verdict verdict) {
  if (c->phase < RUNNING || c->phase == CLOSING)
    run->opening--;
  close(c->fd);
  c->fd = -1;
  if (verdict == CLOSED)
    run->cycles++;
  else
    run->errors++;
  if (plan->kind == CYCLES)
    open_one(plan, run, c);
}

static bool over(const struct plan *plan, const struct run *run, uint64_t begun) {
  if (run->errors > MAX_ERRORS || since(begun) > GIVE_UP_SECONDS)
    return true;
  if (plan->kind == IDLE)
    return run->ready + run->errors >= plan->connections;
  return run->running ? since(run->started) > plan->seconds : run->errors > 0;
}

static void run_plan(struct plan *plan, struct run *run) {
  const int at_once = plan->kind == CYCLES ? plan->connections : OPENING_AT_ONCE;
  const uint64_t begun = now_ns();
  run->epoll = epoll_create1(0);
  run->conns = calloc((size_t)plan->connections, sizeof *run->conns);
  if (!run->conns)
    abort();
  if (plan->kind == CYCLES)
    start(plan, run);
  static struct epoll_event events[512];
  while (!over(plan, run, begun)) {
    while (run->opened < plan->connections && run->opening < at_once)
      open_one(plan, run, &run->conns[run->opened++]);
    const int count = epoll_wait(run->epoll, events, 512, 50);
    for (int i = 0; i < count; i++) {
      struct conn *c = events[i].data.ptr;
      if (c->fd < 0)
        continue;
      const enum verdict verdict = ready(plan, run, c, events[i].events);
      if (verdict != GOOD)
        ended(plan, run, c, verdict);
    }
  }
}

int run_throughput(const struct target *target, int connections, int window, size_t size, double seconds) {
  struct plan plan = {
      .kind = THROUGHPUT, .target = target, .connections = connections, .window = window, .seconds = seconds};
  struct run run = {0};
  make_words(&plan.words, target, "echo");
  plan.message = make_message(size, &plan.message_size);
  run_plan(&plan, &run);
  printf("{\"cpu\":%.6f,\"echoes\":%lu,\"bytes\":%lu,\"seconds\":%.3f,\"errors\":%d}\n",
         cpu_seconds(target->pid) - run.cpu_before, run.messages, run.bytes, since(run.started), run.errors);
  return 0;
}

int run_cycles(const struct target *target, int connections, double seconds) {
  struct plan plan = {.kind = CYCLES, .target = target, .connections = connections, .seconds = seconds};
  struct run run = {0};
  make_words(&plan.words, target, "echo");
  run_plan(&plan, &run);
  printf("{\"cpu\":%.6f,\"cycles\":%lu,\"seconds\":%.3f,\"errors\":%d,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
         cpu_seconds(target->pid) - run.cpu_before, run.cycles, since(run.started), run.errors,
         latency_us(.5), latency_us(.99));
  return 0;
}

int run_idle(const struct target *target, int connections) {
  struct plan plan = {.kind = IDLE, .target = target, .connections = connections};
  struct run run = {0};
  char end;
  make_words(&plan.words, target, "echo");
  run_plan(&plan, &run);
  printf("{\"ready\":%d,\"errors\":%d}\n", run.ready, run.errors);
  fflush(stdout);
  while (read(STDIN_FILENO, &end, 1) > 0)
    continue;
  return 0;
}

int run_stream(const struct target *target, int connections, double rate, int size, double seconds) {
  struct plan plan = {.kind = STREAMING, .target = target, .connections = connections, .seconds = seconds};
  struct run run = {0};
  char mode[100];
  const long each = (long)(rate * (seconds + OPENING_SECONDS));
  snprintf(mode, sizeof mode, "stream n=%ld rate=%g size=%d", each, rate, size);
  make_words(&plan.words, target, mode);
  run_plan(&plan, &run);
  printf("{\"cpu\":%.6f,\"messages\":%lu,\"seconds\":%.3f,\"errors\":%d,\"p50_us\":%.1f,\"p99_us\":%.1f}\n",
         cpu_seconds(target->pid) - run.cpu_before, run.messages, since(run.started), run.errors,
         latency_us(.5), latency_us(.99));
  return 0;
}
