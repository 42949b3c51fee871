"""HTTP requests that need more than a health answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from tenant_gateway.server.http import HttpRequest, json_response

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway
    from tenant_gateway.server.auth import Peer


class Writer(Protocol):
    """Where a response goes."""

    async def write(self, data: bytes) -> None:
        """Write a part, waiting for room."""
        ...


async def handle(gateway: Gateway, request: HttpRequest, peer: Peer, writer: Writer) -> bool:
    """Answer a request; return whether the connection stays."""
    await writer.write(json_response(404, {"error": {"message": "Not Found", "type": "not_found"}}, request))
    return request.keep_alive
