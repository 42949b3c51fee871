"""Composes router, local fleet and gateways on one machine; apart from the command, which starts without these imports."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tenant_api.garbage import settle
from tenant_api.loaded import FileError
from tenant_local.apart import NotConfinable
from tenant_local.fleet import LocalFleet
from tenant_local.layout import DataError
from tenant_local.runtimes.openclaw_runtime import default_cache_dir, installed
from tenant_local.settings import LocalSettings
from tenant_router.activity import Activity
from tenant_router.admin.app import build_admin_app
from tenant_router.admin.server import AdminServer
from tenant_router.listener import listening_socket
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import Network, RouterSettings

from .admin_api import tenant_routes
from .errors import CommandError
from .running import announced

log = logging.getLogger("openclaw_tenancy")

STOP_GATEWAYS = 335.0
"""Seconds for gateways to end at our own stop: upstream drains its running turns for up to 325 s. A second signal ends it."""


@dataclass(frozen=True, slots=True)
class UpSettings:
    """What `up` was asked for."""

    directory: Path
    data: Path
    listen: tuple[str, int]
    admin: tuple[str, int]
    trusted_proxies: tuple[Network, ...]
    origins: tuple[str, ...]
    unconfined: bool


def run(settings: UpSettings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises
    ------
    CommandError
        It can't begin; the text says why.
    """
    with asyncio.Runner(loop_factory=RelayLoop) as runner:
        runner.run(_serve(settings))


async def _serve(settings: UpSettings) -> None:
    stopping = _Stopping()
    # Bound first: the gateways' config and confinement name these ports.
    try:
        listen_sock = listening_socket(*settings.listen)
        admin_sock = AdminServer.bind(settings.admin)
    except OSError as error:
        raise CommandError(f"can't listen: {error}; choose another address with --listen or --admin") from None
    listen, admin_address = listen_sock.getsockname()[:2], admin_sock.getsockname()[:2]
    runtime = installed(default_cache_dir())
    activity = Activity()
    fleet = LocalFleet(
        LocalSettings(
            directory=settings.directory,
            data=settings.data,
            unconfined=settings.unconfined,
            allowed_origins=settings.origins or _local_origins(listen[1]),
            forbidden_ports=frozenset({listen[1], admin_address[1]}),
        ),
        activity,
        revoked=lambda name, tokens: router.revoke(name, tokens),  # noqa: PLW0108 - router is made below
        reported=_Reporter(settings.directory),
        suspends=lambda: router.suspends,
    )
    router = Router(
        fleet,
        RouterSettings(
            listen=settings.listen,
            admin=settings.admin,
            trusted_proxies=settings.trusted_proxies,
            control_ui=runtime.control_ui if runtime is not None else None,
            max_concurrent_wakes=max(2, os.cpu_count() or 1),
        ),
        activity,
    )
    async with contextlib.AsyncExitStack() as stack:
        try:
            await fleet.start()
        except (DataError, NotConfinable) as error:
            raise CommandError(str(error)) from None
        stack.push_async_callback(stopping.within, partial(fleet.stop, STOP_GATEWAYS), partial(fleet.stop, 0.0))
        router.start(listen_sock)
        stack.push_async_callback(stopping.within, router.drain, router.close)
        app = build_admin_app(router)
        admin = AdminServer(app, admin_sock)
        admin.start()
        stack.push_async_callback(admin.stop)
        running = stack.enter_context(announced(_text(listen), _text(admin_address), settings.directory, settings.data))
        app.include_router(tenant_routes(router, fleet, running.token))
        settle()
        print(
            f"ready: clients at ws://{_text(listen)}, admin at http://{_text(admin_address)}, data in {settings.data}",
            flush=True,
        )
        await stopping.asked()


class _Reporter:
    """Says once what is wrong in the Tenant files, and that it is mended."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._said: set[str] = set()

    def __call__(self, errors: list[FileError]) -> None:
        now = {str(error) for error in errors}
        for text in sorted(now - self._said):
            log.error("%s (nothing of it applies; the last good version stays in force)", text)
        if self._said and not now:
            log.info("the files in %s are good again", self._directory)
        self._said = now


class _Stopping:
    """SIGTERM or SIGINT asks; a second one hurries."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._hurried = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signal)

    def _signal(self) -> None:
        if self._asked.is_set():
            self._hurried.set()
        self._asked.set()

    async def asked(self) -> None:
        await self._asked.wait()

    async def within(
        self, ending: Callable[[], Coroutine[Any, Any, None]], at_once: Callable[[], Awaitable[None]]
    ) -> None:
        """Let something end in its own time, or at once when a second signal says so."""
        task = asyncio.ensure_future(ending())
        hurried = asyncio.ensure_future(self._hurried.wait())
        await asyncio.wait((task, hurried), return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not task.done():
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await at_once()
        else:
            task.result()


def _local_origins(port: int) -> tuple[str, ...]:
    return (f"http://127.0.0.1:{port}", f"http://localhost:{port}")


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
