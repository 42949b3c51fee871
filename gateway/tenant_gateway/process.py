"""The process: from its environment to a listening gateway, and its end by signal."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import signal
import socket
import time
from pathlib import Path
from typing import Any, Final

from tenant_gateway.config.document import Config, ConfigError, read_config
from tenant_gateway.config.watch import stamp, watch
from tenant_gateway.gateway import Gateway
from tenant_gateway.log import JsonLines, configure_log
from tenant_gateway.server.listener import ServerProtocol
from tenant_gateway.settings import DEFAULT_PORT, Settings, read_settings

EXIT_CONFIG: Final = 78
"""sysexits' EX_CONFIG, which upstream ends with for everything that a restart does not mend."""

_DRAIN_BUDGET: Final = 315.0
"""Seconds for which a running turn may go on after SIGTERM (upstream's `drain=315000ms`)."""

_TICK_INTERVAL: Final = 30.0
_BACKLOG: Final = 512

_log: Final = logging.getLogger("tenant_gateway")


class StartError(Exception):
    """The gateway cannot start, and would not the next time either."""


def main() -> int:
    """Run the gateway until a signal ends it; returns the exit code."""
    configure_log(_log)
    settings = read_settings(os.environ, os.getpid())
    try:
        config = read_config(settings.config_path, settings.environ)
        _check_exposure(config, settings)
        lock = _lock(settings.state_dir)
        _log.addHandler(JsonLines(settings.log_path))
        listener = _listener(settings, config)
    except (ConfigError, StartError) as error:
        _log.error("%s", error)
        return EXIT_CONFIG
    with listener:
        try:
            asyncio.run(_serve(settings, config, listener))
        finally:
            os.close(lock)
    return 0


def _check_exposure(config: Config, settings: Settings) -> None:
    bind = config.text("gateway.bind", "loopback")
    if settings.listen_fd is not None or bind == "loopback":
        return
    mode = config.get("gateway.auth.mode", "token")
    secret = settings.environ.get(f"OPENCLAW_GATEWAY_{str(mode).upper()}") or config.text(f"gateway.auth.{mode}")
    if mode == "none" or (mode in ("token", "password") and not secret):
        raise StartError(f"Refusing to bind gateway to {bind} without auth.")


def _lock(state_dir: Path) -> int:
    """Hold the state directory: two gateways on one would answer each other's clients."""
    state_dir.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(state_dir / "tenant-gateway.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(f"another gateway process owns {state_dir}") from None
    return descriptor


def _listener(settings: Settings, config: Config) -> socket.socket:
    if settings.listen_fd is not None:
        os.set_inheritable(settings.listen_fd, False)
        inherited = socket.socket(fileno=settings.listen_fd)
        inherited.setblocking(False)
        return inherited
    bind = config.text("gateway.bind", "loopback")
    host = {"loopback": "127.0.0.1", "custom": config.text("gateway.customBindHost", "127.0.0.1")}.get(bind, "0.0.0.0")  # noqa: S104
    port = int(settings.environ.get("OPENCLAW_GATEWAY_PORT") or config.number("gateway.port", DEFAULT_PORT))
    try:
        listener = socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        raise StartError(f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.setblocking(False)
    return listener


async def _serve(settings: Settings, config: Config, listener: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    gateway = Gateway(settings, config)
    name: Any = listener.getsockname()
    gateway.port = name[1] if isinstance(name, tuple) else 0
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    server = await loop.create_server(lambda: ServerProtocol(gateway), sock=listener, backlog=_BACKLOG)
    _log.info("listening on %s (pid %d)", _address(listener), os.getpid())
    # What was made at start lives as long as the process: the collector need not look at it again.
    gc.collect()
    gc.freeze()
    gateway.resume()
    background = [
        loop.create_task(watch(settings.config_path, stamp(settings.config_path), gateway.reload)),
        loop.create_task(_tick(gateway)),
    ]
    await stopping.wait()
    _log.info("received a signal to stop; finishing %d running turns", gateway.active_runs)
    await gateway.drain(_DRAIN_BUDGET)
    server.close()
    for task in background:
        task.cancel()
    await asyncio.gather(*background, return_exceptions=True)
    await gateway.stop()
    _log.info("stopped")


async def _tick(gateway: Gateway) -> None:
    """Every 30 s a `tick`, after which a client knows that the gateway lives; every other one a `health` too."""
    from tenant_gateway.methods.status import health_snapshot

    odd = False
    while True:
        await asyncio.sleep(_TICK_INTERVAL)
        gateway.broadcast("tick", {"ts": time.time_ns() // 1_000_000})
        odd = not odd
        if not odd and gateway.clients:
            gateway.health_version += 1
            gateway.broadcast("health", health_snapshot(gateway), gateway.state_version())


def _address(listener: socket.socket) -> str:
    name: Any = listener.getsockname()
    return f"{name[0]}:{name[1]}" if isinstance(name, tuple) else str(name)
