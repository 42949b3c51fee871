"""Browsers: from which pages they may connect. Nodes: not at all."""

from typing import Final
from urllib.parse import urlsplit

from openclaw_protocol.connect import ConnectParams
from openclaw_protocol.errors import INVALID_REQUEST, ErrorShape
from openclaw_protocol.rejections import OriginNotAllowed, Rejection
from tenant_gateway.config.document import Config
from tenant_gateway.server.auth import Peer

_MISSING: Final = "origin missing or invalid"
_NOT_ALLOWED: Final = "origin not allowed"


class NodeRefused(Rejection):
    """A node host: this runtime has no nodes, and `features.methods` lists none of their methods.

    Upstream's node host goes on trying, and waking us, after a code that it does not know; after this one it pauses and
    shows the message.
    """

    def __init__(self) -> None:
        message = "this gateway does not serve nodes"
        super().__init__(ErrorShape(INVALID_REQUEST, message, {"code": "AUTH_SCOPE_MISMATCH"}), 1008, message)


def check_origin(config: Config, peer: Peer, params: ConnectParams) -> None:
    """Check `Origin` as upstream does: always for browser clients, for the others when they send one.

    Raises:
        OriginNotAllowed: neither in `gateway.controlUi.allowedOrigins` nor the page of the host that was connected to.
    """
    origin = peer.headers.get("origin")
    if origin is None and not params.client.must_send_origin:
        return
    if not origin or origin == "null":
        raise OriginNotAllowed(_MISSING)
    allowed = config.texts("gateway.controlUi.allowedOrigins")
    if "*" in allowed or origin.lower() in {entry.lower().rstrip("/") for entry in allowed}:
        return
    host = peer.headers.get("x-forwarded-host") or peer.headers.get("host", "")
    if urlsplit(origin).netloc.lower() != host.lower():
        raise OriginNotAllowed(_NOT_ALLOWED)
