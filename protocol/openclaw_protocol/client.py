"""The client's side of the handshake, sans-I/O: the challenge in, `connect` out, hello or a refusal in."""

import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Final

from openclaw_protocol import frames
from openclaw_protocol.challenge import Challenge
from openclaw_protocol.clients import ClientInfo
from openclaw_protocol.device import DeviceKey
from openclaw_protocol.errors import UNAVAILABLE, ErrorShape
from openclaw_protocol.rejections import PROTOCOL_VERSION, InvalidFrame

FINAL_CODES: Final = frozenset(
    {
        "AUTH_TOKEN_MISSING",
        "AUTH_TOKEN_MISMATCH",
        "AUTH_BOOTSTRAP_TOKEN_INVALID",
        "AUTH_PASSWORD_MISSING",
        "AUTH_PASSWORD_MISMATCH",
        "AUTH_RATE_LIMITED",
        "AUTH_DEVICE_TOKEN_MISMATCH",
        "AUTH_SCOPE_MISMATCH",
        "AUTH_IDENTITY_HEADER_REQUIRED",
        "AUTH_VERIFIED_USER_REQUIRED",
        "PAIRING_REQUIRED",
        "DEVICE_IDENTITY_REQUIRED",
        "CONTROL_UI_DEVICE_IDENTITY_REQUIRED",
        "CONTROL_UI_BUILD_MISMATCH",
        "PROTOCOL_MISMATCH",
        "CLIENT_VERSION_MISMATCH",
    }
)
"""`details.code` values after which upstream's client does not come back by itself."""


class ConnectRefused(Exception):
    """The gateway answered `connect` with an error; `error` has its words, the close that follows is the transport's."""

    def __init__(self, error: ErrorShape) -> None:
        super().__init__(error.message)
        self.error = error

    @property
    def is_not_yet(self) -> bool:
        """The gateway starts, restarts or is being suspended: try again after `error.retry_after_ms`."""
        return self.error.code == UNAVAILABLE and self.error.retryable is True

    @property
    def is_final(self) -> bool:
        """Whether upstream's client would give up."""
        return self.error.detail_code in FINAL_CODES


class ClientHandshake:
    """One login. Feed every message to `receive` and send what it returns, until `hello` is there.

    Args:
        client: who we say we are.
        scopes: what we ask for; None leaves it out, which is not the same as asking for nothing.
        token: the gateway token.
        device: a key to sign the challenge with; needed by nodes and, in token mode, by operator UIs.
        more: further members of the params, such as `caps` and `userAgent`.
    """

    def __init__(
        self,
        client: ClientInfo | Mapping[str, Any],
        *,
        role: str = "operator",
        scopes: Sequence[str] | None = None,
        token: str | None = None,
        device: DeviceKey | None = None,
        request_id: str | None = None,
        **more: Any,
    ) -> None:
        self.request_id = str(uuid.uuid4()) if request_id is None else request_id
        self.hello: dict[str, Any] | None = None
        self._client = client if isinstance(client, ClientInfo) else dict(client)
        self._role = role
        self._scopes = scopes
        self._token = token
        self._device = device
        self._more = more
        self._connecting = False

    def receive(self, data: bytes | str) -> bytes | None:
        """Take one message; return the message to send in return, if any.

        Events between challenge and hello are none of the handshake's business and skipped.

        Raises:
            ConnectRefused: the gateway said no, or not yet.
            InvalidFrame: what came is not the protocol.
        """
        if self.hello is not None:
            raise InvalidFrame("the handshake is over")
        if not self._connecting:
            connect = self._connect(Challenge.parse(data))
            self._connecting = True
            return connect
        frame = frames.parse_frame(data)
        if isinstance(frame, frames.Request):
            raise InvalidFrame("expected a response")
        if isinstance(frame, frames.Event) or frame.id != self.request_id:
            return None
        if not frame.ok:
            raise ConnectRefused(frame.error or ErrorShape(UNAVAILABLE, "refused without an error"))
        if not isinstance(frame.payload, dict) or frame.payload.get("type") != "hello-ok":
            raise InvalidFrame("expected hello-ok")
        self.hello = frame.payload
        return None

    def _connect(self, challenge: Challenge) -> bytes:
        params: dict[str, Any] = {
            "minProtocol": PROTOCOL_VERSION,
            "maxProtocol": PROTOCOL_VERSION,
            "client": self._client,
            "role": self._role,
            **self._more,
        }
        if self._scopes is not None:
            params["scopes"] = list(self._scopes)
        if self._token is not None:
            params["auth"] = {"token": self._token}
        if self._device is not None:
            params["device"] = self._device.claim(
                self._client, self._role, self._scopes or (), self._token, challenge.nonce, challenge.ts
            )
        return frames.request(self.request_id, "connect", params)
