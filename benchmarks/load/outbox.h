// What a non-blocking socket has yet to take.
#ifndef OUTBOX_H
#define OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct outbox {
  uint8_t *data;
  size_t size, sent, room;
};

// Sends, or keeps what finds no room; false when the socket is broken.
bool outbox_write(struct outbox *box, int fd, const void *data, size_t size);

// Sends what was kept; false when the socket is broken.
bool outbox_flush(struct outbox *box, int fd);

void outbox_free(struct outbox *box);

#endif
