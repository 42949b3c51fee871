"""The router process of a cluster: composes access, fleet, router and admin port, and ends them in order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Coroutine

from tenant_api.garbage import settle

from ..admin.app import build_admin_app
from ..admin.server import AdminServer
from ..listener import listening_socket
from ..server import Router
from .access import ApiAccess
from .client import ApiServer
from .fleet import KubernetesFleet
from .settings import KubernetesSettings
from .why import why_routes

log = logging.getLogger(__name__)


async def serve(settings: KubernetesSettings) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal ends at once.

    Raises
    ------
    ConfigurationError
        There is no way to an API server.
    OSError
        An address to listen on can't be had.
    """
    stopping, hurried = asyncio.Event(), asyncio.Event()

    def signalled() -> None:
        (hurried if stopping.is_set() else stopping).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, signalled)
    api = ApiServer(await ApiAccess.load())
    router, fleet = compose(api, settings)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(api.close)
        app = build_admin_app(router)
        app.include_router(why_routes(router, fleet))
        admin = AdminServer(app, AdminServer.bind(settings.router.admin))
        admin.start()
        stack.push_async_callback(admin.stop)
        stack.push_async_callback(fleet.stop)
        # Until every token is known nobody can connect and /readyz says 503: a stranger's refusal stops a client for good.
        if not await _before(stopping, fleet.start()):
            return
        router.start(listening_socket(*settings.router.listen))
        settle()
        print(f"ready: clients at ws://{_text(router.address)}, admin at http://{_text(admin.address)}", flush=True)
        await stopping.wait()
        log.info("draining: new connections are refused, clients are told")
        if not await _before(hurried, router.drain()):
            await router.close()


def compose(api: ApiServer, settings: KubernetesSettings) -> tuple[Router, KubernetesFleet]:
    """Return a router and its fleet, neither of them started."""
    fleet = KubernetesFleet(
        api,
        settings.namespaces,
        settings.master_key,
        revoked=lambda key, tokens: router.revoke(key, tokens),  # noqa: PLW0108 - router is made below
        ending=lambda key: router.lot.evict(key),  # noqa: PLW0108 - the same
    )
    router = Router(fleet, settings.router)
    fleet.metrics.register(router.metrics.registry)
    return router, fleet


async def _before(event: asyncio.Event, wanted: Coroutine[None, None, None]) -> bool:
    """Tell whether `wanted` came to its end before the event; if not, it is cancelled."""
    task, waiting = asyncio.ensure_future(wanted), asyncio.ensure_future(event.wait())
    await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return False
    task.result()
    return True


def _text(address: tuple[str, int]) -> str:
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
