"""What clients ask by themselves, so that it keeps nothing awake; apart from the models, which the routers don't need."""

from __future__ import annotations

from typing import Final

DEFAULT_PASSIVE_METHODS: Final = (
    "agent.identity.get",
    "cron.list",
    "cron.status",
    "health",
    "last-heartbeat",
    "node.list",
    "question.list",
    "sessions.catalog.list",
    "sessions.viewers.set",
    "status",
    "system-presence",
)
"""Where a template says nothing: what OpenClaw 2026.9.6's clients poll by themselves (openclaw-protocol 0.8, 4.6)."""
