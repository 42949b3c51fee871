"""Asks a gateway whether clients may connect: `GET /startupz`, which both runtimes answer (openclaw-protocol 2.4).

`tenant_local.ready` asks the same where nobody waits and no relay runs; it says why it is another one.
"""

from __future__ import annotations

import asyncio
import socket

import httptools
import msgspec

from ..fleet import GatewayAddress
from ..origin import SOMEBODY
from ..relay.selector import RelaySelector
from ..wire import Wire
from .waker import NotListening, NotReady

CONNECT = 0.15
"""Seconds until a connect that hears nothing is begun anew. A cluster drops what is sent to a new pod until its network
policies know the pod's address, and a lost SYN is sent again only after 1 s (RFC 6298): a second socket is sooner."""
MAX_ANSWER = 16 * 1024
"""Bytes of the answer; upstream's is 200."""

_REQUEST = f"GET /startupz HTTP/1.1\r\nHost: {{host}}\r\nX-Forwarded-For: {SOMEBODY}\r\nConnection: close\r\n\r\n"
"""Says for whom it asks: upstream answers 403 to a trusted proxy that does not, as a router in a cluster is."""


class _Startup(msgspec.Struct):
    ok: bool = False


class _Body:
    """Collects a response body for httptools."""

    def __init__(self) -> None:
        self.data = b""
        self.complete = False

    def on_body(self, part: bytes) -> None:
        self.data += part

    def on_message_complete(self) -> None:
        self.complete = True


async def probe(selector: RelaySelector, address: GatewayAddress) -> None:
    """Ask once.

    Raises
    ------
    NotListening
        Nothing accepts the connection, or it was cut.
    NotReady
        The gateway says that it is starting or draining. Its JSON decides, not the status alone: unknown paths answer 200.
    """
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    wire = Wire(selector, socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK))
    body = _Body()
    parser = httptools.HttpResponseParser(body)
    try:
        wire.connect((address.host, address.port))
        async with asyncio.timeout(CONNECT):
            await wire.writable()
        await wire.send(_REQUEST.format(host=address.host).encode())
        seen = 0
        while not body.complete:
            data = await wire.recv()
            seen += len(data)
            if seen > MAX_ANSWER:
                raise NotReady
            parser.feed_data(data)
        if not msgspec.json.decode(body.data, type=_Startup).ok:
            raise NotReady
    except (httptools.HttpParserError, msgspec.MsgspecError):
        raise NotReady from None
    except OSError:  # TimeoutError too
        raise NotListening from None
    finally:
        wire.close()
