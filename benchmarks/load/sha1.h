// SHA-1 (RFC 3174) of short texts: all that the WebSocket handshake asks for, so that nothing needs to be
// linked.
#ifndef SHA1_H
#define SHA1_H

#include <stddef.h>
#include <stdint.h>

// size: at most 183 bytes.
void sha1(const uint8_t *text, size_t size, uint8_t digest[20]);

#endif
