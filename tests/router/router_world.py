"""The router's surroundings in its tests: tenants with tokens, gateways that are real servers, clients on raw sockets."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import defaultdict
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tenant_api.passive import DEFAULT_PASSIVE_METHODS
from tenant_api.tokens import token_digest
from tenant_router.fleet import GatewayAddress, TenantRecord, TokenMatch, WakeFailed


class Gateway:
    """A gateway of one tenant: challenge, connect, hello-ok; then it answers `echo` and says what it was told."""

    def __init__(self, user: str) -> None:
        self.user = user
        self.uid = uuid.uuid4().hex
        self.starting = False
        self.connects: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.server: Server | None = None
        self.live: set[ServerConnection] = set()
        self.features: list[str] = []
        self.answers: dict[str, Any] = {}
        """What methods are answered that do not echo."""
        self.requests: list[tuple[str, Any]] = []

    async def start(self) -> GatewayAddress:
        self.server = await serve(
            self._serve, "127.0.0.1", 0, process_request=self._http, ping_interval=None, compression=None, max_size=None
        )
        return GatewayAddress("127.0.0.1", self.server.sockets[0].getsockname()[1], self.uid, self.user)

    async def stop(self) -> None:
        if self.server is not None:
            self.server.close()
            await self.server.wait_closed()

    def _http(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path == "/startupz":
            status, body = (503, b'{"ok":false}') if self.starting else (200, b'{"ok":true}')
            return Response(status, "", Headers({"Content-Length": str(len(body)), "Connection": "close"}), body)
        return None

    async def _serve(self, ws: ServerConnection) -> None:
        assert ws.request is not None
        self.headers.append({k.lower(): v for k, v in ws.request.headers.raw_items()})
        await ws.send(json.dumps({"type": "event", "event": "connect.challenge", "payload": {"nonce": "n", "ts": 1}}))
        frame = json.loads(await ws.recv())
        self.connects.append(frame)
        if ws.request.headers.get("x-openclaw-tenant") != self.user:
            await ws.close(1008, "wrong identity")
            return
        if self.starting:
            error = {"code": "UNAVAILABLE", "message": "gateway starting; retry shortly", "retryable": True}
            await ws.send(json.dumps({"type": "res", "id": frame["id"], "ok": False, "error": error}))
            await ws.close(1013, "gateway starting")
            return
        snapshot = {"authMode": "trusted-proxy"}
        payload = {
            "type": "hello-ok",
            "protocol": 4,
            "features": {"methods": self.features},
            "snapshot": snapshot,
            "auth": {"deviceToken": "secret-device-token"},
        }
        await ws.send(
            json.dumps({"type": "res", "id": frame["id"], "ok": True, "payload": payload}, separators=(",", ":"))
        )
        self.live.add(ws)
        try:
            async for message in ws:
                request = json.loads(message)
                method, params = request["method"], request.get("params")
                self.requests.append((method, params))
                payload = self.answers.get(method, params)
                await ws.send(json.dumps({"type": "res", "id": request["id"], "ok": True, "payload": payload}))
        finally:
            self.live.discard(ws)


@dataclass
class TestFleet:
    """Tenants by token; each wake starts a Gateway after `delay` seconds, or fails with `failure`."""

    __test__ = False
    delay: float = 0.0
    failure: str | None = None
    lasting: bool = False
    """Whether only a person can mend the failure."""
    never_listens: bool = False
    tenants: dict[bytes, TokenMatch] = field(default_factory=dict)
    gateways: dict[str, Gateway] = field(default_factory=dict)
    addresses: dict[str, GatewayAddress] = field(default_factory=dict)
    starts: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    given_up: list[str] = field(default_factory=list)
    features: list[str] = field(default_factory=list)
    """What the gateways from now on say that they can do."""
    passive: dict[str, Set[str]] = field(default_factory=dict)
    """Passive methods of the tenants that have their own."""

    def add(self, key: str, token: str, **fields: Any) -> None:
        expires_at = fields.pop("expires_at", None)
        self.tenants[token_digest(token)] = TokenMatch(TenantRecord(key, **fields), "test", expires_at)

    def find(self, digest: bytes) -> TokenMatch | None:
        return self.tenants.get(digest)

    def knows(self, key: str) -> bool:
        return any(match.tenant.key == key for match in self.tenants.values())

    def awake(self, key: str) -> GatewayAddress | None:
        return self.addresses.get(key)

    def passive_methods(self, key: str) -> Set[str]:
        return self.passive.get(key, frozenset(DEFAULT_PASSIVE_METHODS))

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        self.starts[key] += 1
        await asyncio.sleep(self.delay)
        if self.failure is not None:
            raise WakeFailed(self.failure, self.lasting)
        if self.never_listens:
            return GatewayAddress("127.0.0.1", 9, "never", "nobody")
        gateway = self.gateways[key] = Gateway(f"user-of-{key}")
        gateway.features = list(self.features)
        return await gateway.start()

    def ended(self, address: GatewayAddress) -> str | None:
        return None

    def greeted(self, address: GatewayAddress) -> None:
        for key, gateway in self.gateways.items():
            if gateway.uid == address.uid:
                self.addresses[key] = address

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        self.given_up.append(reason)

    async def stop(self, key: str) -> None:
        self.addresses.pop(key, None)
        await self.gateways[key].stop()

    async def close(self) -> None:
        for gateway in self.gateways.values():
            await gateway.stop()


PARAMS = {
    "minProtocol": 4,
    "maxProtocol": 4,
    "client": {"id": "cli", "version": "2026.9.6", "platform": "linux", "mode": "cli"},
    "role": "operator",
    "scopes": ["operator.read"],
}


class Client:
    """An OpenClaw client over the `websockets` library."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.challenge: dict[str, Any] = {}

    @classmethod
    async def open(cls, router: Any, **kwargs: Any) -> Client:
        host, port = router.address
        client = cls(
            await connect(f"ws://{host}:{port}/", compression=None, ping_interval=None, max_size=None, **kwargs)
        )
        client.challenge = await client.recv()
        return client

    async def recv(self) -> dict[str, Any]:
        async with asyncio.timeout(20):
            frame: dict[str, Any] = json.loads(await self.ws.recv())
            return frame

    async def hello(self, token: str | None, **changes: Any) -> dict[str, Any]:
        params = {**PARAMS, **changes}
        if token is not None:
            params["auth"] = {"token": token}
        await self.ws.send(json.dumps({"type": "req", "id": "c1", "method": "connect", "params": params}))
        return await self.recv()

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        await self.ws.send(json.dumps({"type": "req", "id": uuid.uuid4().hex, "method": method, "params": params}))
        return await self.recv()

    async def closed(self) -> tuple[int | None, str | None]:
        async with asyncio.timeout(20):
            await self.ws.wait_closed()
        return self.ws.close_code, self.ws.close_reason
