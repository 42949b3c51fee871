"""Suspension: the answer to "may this gateway be put to sleep?", and the fence that keeps the answer true.

`prepare` either names what is running or closes the gateway to new work for a while; whoever asked then ends the process,
or resumes (docs/gateway/restart-recovery.md, `gateway.suspend.*`).
"""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any, Final

from tenant_gateway.storage.sessions import now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway

_LEASE: Final = 120.0
"""Seconds for which a suspension holds without being confirmed; upstream's `expiresAtMs` is as far ahead."""

RETRY_AFTER_MS: Final = 20_000

ACCEPTING: Final = "accepting"
DRAINING: Final = "draining"
PREPARED: Final = "prepared"


class Suspension:
    """The phase of the gateway: accepting work, draining it, or prepared to be put to sleep."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.phase = ACCEPTING
        self._id = ""
        self._request_id = ""
        self._expires_at = 0
        self._timer: asyncio.TimerHandle | None = None

    def prepare(self, request_id: str, drain: bool) -> dict[str, Any]:
        """Close the gateway to new work if nothing runs, or, with `drain`, in any case."""
        blockers = self.blockers()
        count = sum(blocker["count"] for blocker in blockers)
        if self._gateway.draining:
            return _busy("gateway-draining", count, blockers)
        if self.phase != ACCEPTING and request_id != self._request_id:
            return _busy("gateway-draining", count, blockers)
        if blockers and not drain and self.phase == ACCEPTING:
            return _busy("active-work", count, blockers)
        if self.phase == ACCEPTING:
            self._id = str(uuid.uuid4())
            self._request_id = request_id
        self._hold(DRAINING if blockers else PREPARED)
        answer = {"suspensionId": self._id, "expiresAtMs": self._expires_at, "activeCount": count, "blockers": blockers}
        if blockers:
            return {"status": "draining", "retryAfterMs": 1000, **answer}
        return {"status": "ready", **answer}

    def status(self, suspension_id: str) -> dict[str, Any]:
        """Tell how far a suspension is; `running` for one that is over."""
        if self.phase == ACCEPTING or suspension_id != self._id:
            return {"status": "running"}
        blockers = self.blockers()
        if self.phase == DRAINING and not blockers:
            self._hold(PREPARED)
        if self.phase == PREPARED:
            return {"status": "ready", "expiresAtMs": self._expires_at}
        count = sum(blocker["count"] for blocker in blockers)
        return {
            "status": "draining",
            "expiresAtMs": self._expires_at,
            "retryAfterMs": 1000,
            "activeCount": count,
            "blockers": blockers,
        }

    def resume(self, suspension_id: str) -> bool:
        """Open the gateway again; False when that suspension is over already."""
        if self.phase == ACCEPTING or suspension_id != self._id:
            return False
        self._end()
        return True

    def blockers(self) -> list[dict[str, Any]]:
        """Return what is under way, in upstream's kinds."""
        gateway = self._gateway
        counts = {
            "chat-run": gateway.active_runs,
            "background-exec": gateway.background_processes,
        }
        words = {"chat-run": "active chat run(s)", "background-exec": "background exec session(s)"}
        return [
            {"kind": kind, "count": count, "message": f"{count} {words[kind]}"}
            for kind, count in counts.items()
            if count
        ]

    def _hold(self, phase: str) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._expires_at = now_ms() + int(_LEASE * 1000)
        # A caller that died must not leave its tenant shut out for ever.
        self._timer = asyncio.get_running_loop().call_later(_LEASE, self._end)
        self._enter(phase)

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._enter(ACCEPTING)

    def _enter(self, phase: str) -> None:
        if phase != self.phase:
            self.phase = phase
            self._gateway.broadcast("gateway.suspension", {"phase": phase})


def _busy(reason: str, count: int, blockers: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "status": "busy",
        "reason": reason,
        "retryAfterMs": RETRY_AFTER_MS,
        "activeCount": count,
        "blockers": blockers,
    }
