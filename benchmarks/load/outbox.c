#include "outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool outbox_write(struct outbox *box, int fd, const void *data, size_t size) {
  if (!box->size) {
    const ssize_t sent = send(fd, data, size, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN)
      return false;
    if (sent == (ssize_t)size)
      return true;
    if (sent > 0) {
      data = (const uint8_t *)data + sent;
      size -= (size_t)sent;
    }
  }
  if (box->size + size > box->room) {
    box->room = (box->size + size) * 2;
    box->data = realloc(box->data, box->room);
    if (!box->data)
      abort();
  }
  memcpy(box->data + box->size, data, size);
  box->size += size;
  return true;
}

bool outbox_flush(struct outbox *box, int fd) {
  while (box->sent < box->size) {
    const ssize_t sent = send(fd, box->data + box->sent, box->size - box->sent, MSG_NOSIGNAL);
    if (sent < 0)
      return errno == EAGAIN;
    box->sent += (size_t)sent;
  }
  outbox_free(box);
  return true;
}

void outbox_free(struct outbox *box) {
  free(box->data);
  memset(box, 0, sizeof *box);
}
