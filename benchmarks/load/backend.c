// A gateway as far as a load test goes, one thread, epoll. usage: backend PORT HELLO_PAYLOAD_FILE
//
// Prints its port (0: a free one is taken). On an upgrade it sends `connect.challenge`, takes a `connect` request and
// answers with a hello-ok of real size. `params.client.displayName` says what comes then, because a router passes it on:
//   "bench echo"                        every data frame comes back
//   "bench flood n=N"                   N binary frames of 64 KiB, as fast as they are taken
//   "bench stream n=N rate=R size=S"    N texts of S bytes at R a second, each beginning with its time in hex ns
//   "bench hold"                        nothing is read any more
// GET /stats answers with counters as JSON.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "gateway.h"

enum { MAX_QUEUED = 8 << 20, STREAM_TICK_NS = 1000000 };

static void drop(struct conn *c) {
  if (c->state == STREAM) {
    if (c->previous)
      c->previous->next = c->next;
    else
      streams = c->next;
    if (c->next)
      c->next->previous = c->previous;
  }
  close(c->fd);
  free(c->in);
  outbox_free(&c->out);
  free(c);
  counters.open--;
}

static void accept_all(int listener) {
  const int on = 1;
  for (int i = 0; i < 256; i++) {
    const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    if (fd < 0)
      return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct conn *c = calloc(1, sizeof *c);
    if (!c)
      abort();
    c->fd = fd;
    c->events = EPOLLIN;
    counters.accepted++;
    counters.open++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  }
}

static void ready(struct conn *c, uint32_t events) {
  bool good = true;
  if (events & EPOLLOUT) {
    good = outbox_flush(&c->out, c->fd);
    if (good && !c->out.size && c->state == FLOOD)
      good = flood(c);
  }
  if (good && events & (EPOLLIN | EPOLLHUP | EPOLLERR))
    good = c->state != HOLD && readable(c);
  if (!good || (c->closing && !c->out.size)) {
    drop(c);
    return;
  }
  if (c->state != HOLD && !(c->state == FLOOD && c->frames_left > 0))
    watch(c, (c->out.size > MAX_QUEUED ? 0 : EPOLLIN) | (c->out.size ? EPOLLOUT : 0));
}

static int listen_on(int port) {
  const int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, (struct sockaddr *)&address, size) || listen(fd, 4096) ||
      getsockname(fd, (struct sockaddr *)&address, &size)) {
    perror("backend: listen");
    exit(1);
  }
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: backend PORT HELLO_PAYLOAD_FILE\n");
    return 2;
  }
  load_hello(argv[2]);
  signal(SIGPIPE, SIG_IGN);
  static char timer_mark, listener_mark;
  epoll_fd = epoll_create1(0);
  const int listener = listen_on(atoi(argv[1]));
  const int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
  struct epoll_event event = {.events = EPOLLIN, .data.ptr = &listener_mark};
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
  event.data.ptr = &timer_mark;
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, timer, &event);
  bool ticking = false;
  static struct epoll_event events[512];
  for (;;) {
    const int count = epoll_wait(epoll_fd, events, 512, -1);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr == &listener_mark) {
        accept_all(listener);
      } else if (events[i].data.ptr == &timer_mark) {
        uint64_t ticks;
        if (read(timer, &ticks, sizeof ticks) > 0)
          send_due_streams();
      } else {
        ready(events[i].data.ptr, events[i].events);
      }
    }
    if (ticking != (streams != NULL)) {
      ticking = !ticking;
      const long every = ticking ? STREAM_TICK_NS : 0;
      const struct itimerspec tick = {{0, every}, {0, every}};
      timerfd_settime(timer, 0, &tick, NULL);
    }
  }
}
