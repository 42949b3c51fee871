"""A router as its container runs it: `python -m tenant_router`, told by variables."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from kubernetes_world import MASTER_KEY, Cluster

from deadlines import eventually


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


@dataclass
class RouterProcess:
    """One replica."""

    process: asyncio.subprocess.Process
    log: Path
    address: tuple[str, int] = ("", 0)
    admin: str = ""

    async def ready(self) -> RouterProcess:
        def said() -> re.Match[str] | None:
            assert self.process.returncode is None, self.log.read_text()
            return re.search(r"^ready: clients at ws://([\d.]+):(\d+), admin at (\S+)", self.log.read_text(), re.M)

        found = await eventually(said, 20, "the router is ready")
        self.address, self.admin = (found[1], int(found[2])), found[3]
        return self

    async def get(self, path: str) -> tuple[int, Any]:
        async with aiohttp.ClientSession() as session, session.get(f"{self.admin}{path}") as answer:
            return answer.status, await answer.json()


class Replicas:
    """Starts them, and kills what is left."""

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._all: list[RouterProcess] = []

    async def start(self, **environ: str) -> RouterProcess:
        log = self._folder / f"router-{len(self._all)}.log"
        told = {
            **router_environ(self._cluster.namespace, self._folder),
            "OPENCLAW_TENANCY_LISTEN": "127.0.0.1:0",
            "OPENCLAW_TENANCY_ADMIN": "127.0.0.1:0",
            "OPENCLAW_TENANCY_DRAIN_TIMEOUT": "5s",
            **environ,
        }
        process = await start_router(told, log)
        self._all.append(RouterProcess(process, log))
        return self._all[-1]

    async def end(self) -> None:
        for one in self._all:
            if one.process.returncode is None:
                one.process.kill()
            await one.process.wait()
