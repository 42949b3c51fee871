"""The openclaw runtime: upstream's own gateway on its own Node."""

from __future__ import annotations

from pathlib import Path

from ..settings import GRACE
from .openclaw_runtime import VERSION, default_cache_dir, installed
from .recipe import Recipe, RuntimeMissing

MAX_PREAUTH = 1024
"""Sockets that have not said `connect` yet, per client address. Upstream's 32 is for strangers; here it is the router."""


def recipe(cache_dir: Path | None = None) -> Recipe:
    """Return how upstream's gateways are started.

    Raises
    ------
    RuntimeMissing
        It is not installed.
    """
    runtime = installed(cache_dir or default_cache_dir())
    if runtime is None:
        raise RuntimeMissing(f"OpenClaw {VERSION} is not installed: run `openclaw-tenancy runtime install openclaw`")
    env = {
        # Restarts stay in the process, updates and repairs are not its business (openclaw-protocol 2.2).
        "OPENCLAW_NO_RESPAWN": "1",
        "OPENCLAW_SUPERVISOR_MODE": "external",
        "OPENCLAW_DISABLE_BONJOUR": "1",
        "OPENCLAW_SKIP_CHANNELS": "1",
        "OPENCLAW_EXEC_SHELL_SNAPSHOT": "0",
        "OPENCLAW_MAX_PREAUTH_CONNECTIONS_PER_IP": str(MAX_PREAUTH),
        **runtime.environment(),
    }
    return Recipe(
        run=("exec", str(runtime.node), str(runtime.entry), "gateway", "run"),
        env=env,
        read=[runtime.root],
        # /tmp/openclaw and /tmp/openclaw-state-locks-UID: it takes them where access(2) says yes, which Landlock does.
        needs_tmp=True,
        grace=GRACE["openclaw"],
        memory_option=True,
    )
