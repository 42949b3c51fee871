"""A router's admin port that answers as told and notes what it was asked."""

from __future__ import annotations

from typing import Any

from aiohttp import web


class ScriptedRouter:
    """`async with`; `answers` and `codes` by step."""

    def __init__(self) -> None:
        self.answers: dict[str, dict[str, Any]] = {
            "fence": {"quiet": True, "busy": None, "connections": 0, "parked": 0, "lastRequest": 0},
            "prepare": {"status": "ready", "reason": None, "retryAfterMs": None, "nextWakeAtMs": None},
            "park": {"parked": 0, "closed": 0},
            "open": {},
        }
        self.codes: dict[str, int] = {}
        self.steps: list[str] = []
        self.uids: list[str] = []
        self.tenants: dict[str, dict[str, Any]] = {}
        app = web.Application()
        app.add_routes([web.get("/activity", self._activity), web.post("/suspend/{namespace}/{name}", self._suspend)])
        self._runner = web.AppRunner(app, access_log=None)
        self.address = ("127.0.0.1", 0)

    @property
    def name(self) -> str:
        """As ROUTER_ADMIN has it."""
        return f"{self.address[0]}:{self.address[1]}"

    def see(self, key: str, **activity: Any) -> None:
        """Report a tenant's activity."""
        nothing = {"connections": 0, "opening": 0, "parked": 0, "last_request": 0, "last_seen": 0, "waking": False}
        self.tenants[key] = {**nothing, **activity}

    async def __aenter__(self) -> ScriptedRouter:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.address[1]).start()
        self.address = ("127.0.0.1", int(self._runner.addresses[0][1]))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _activity(self, _: web.Request) -> web.Response:
        return web.json_response({"since": 1.0, "draining": False, "tenants": self.tenants})

    async def _suspend(self, request: web.Request) -> web.Response:
        body = await request.json()
        step = body["step"]
        self.steps.append(step)
        self.uids.append(body["uid"])
        if code := self.codes.get(step):
            return web.json_response({"detail": "told to refuse"}, status=code)
        return web.json_response(self.answers[step])
