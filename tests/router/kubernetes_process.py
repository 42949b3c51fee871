"""A router as its container runs it: `python -m tenant_router`, told by variables."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from kubernetes_world import MASTER_KEY


def router_environ(namespace: str, folder: Path) -> dict[str, str]:
    """What a router for the tenants of a namespace cannot do without; its master key lies in `folder`."""
    key = folder / "master-key"
    key.write_bytes(MASTER_KEY)
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KUBECONFIG": os.environ["KUBECONFIG"],
        "OPENCLAW_TENANCY_NAMESPACES": namespace,
        "OPENCLAW_TENANCY_MASTER_KEY_FILE": str(key),
    }


async def start_router(environ: Mapping[str, str], log: Path) -> asyncio.subprocess.Process:
    with log.open("wb") as file:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "tenant_router",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environ,
        )
