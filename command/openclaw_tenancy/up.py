"""`openclaw-tenancy up DIR`: router, local fleet and gateways on one machine."""

from __future__ import annotations

import logging
import os
import resource
import sys
from pathlib import Path
from typing import Annotated

import typer

from .errors import CommandError
from .options import host_port, networks

SHARED_DATA = Path("/data/openclaw")
"""Where data goes when this machine has such a place."""


def up(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Folder with Tenant and TenantTemplate files.")],
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Where clients connect.")] = "127.0.0.1:18789",
    admin: Annotated[str, typer.Option(metavar="HOST:PORT", help="Health, metrics, activity.")] = "127.0.0.1:18790",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where tenants' data goes; /data/openclaw when writable, else DIR-data beside DIR."
        ),
    ] = None,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(metavar="CIDR", help="Reverse proxies whose X-Forwarded-* headers are believed; repeatable."),
    ] = None,
    origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Origin under which browsers reach this router, e.g. https://gw.example.com; repeatable.",
        ),
    ] = None,
    unconfined: Annotated[
        bool, typer.Option(help="Serve several tenants even where the OS offers nothing to keep them apart.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log more.")] = False,
) -> None:
    """Serve the tenants of a folder until SIGTERM or Ctrl-C."""
    # Here, because the other commands need none of it and start twice as quickly without.
    from .serving import UpSettings, run

    if not directory.is_dir():
        raise CommandError(f"{directory} is no folder; make one with: openclaw-tenancy init {directory}")
    directory = directory.resolve()
    settings = UpSettings(
        directory=directory,
        data=(data or _default_data(directory)).resolve(),
        listen=host_port(listen, "--listen"),
        admin=host_port(admin, "--admin"),
        trusted_proxies=networks(trusted_proxy or [], "--trusted-proxy"),
        origins=tuple(origin or ()),
        unconfined=unconfined,
    )
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname).1s %(name)s: %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    _raise_descriptor_limit()
    run(settings)


def _default_data(directory: Path) -> Path:
    shared = SHARED_DATA if SHARED_DATA.is_dir() else SHARED_DATA.parent
    if shared.is_dir() and os.access(shared, os.W_OK):
        return SHARED_DATA
    return directory.with_name(directory.name + "-data")


def _raise_descriptor_limit() -> None:
    """A connection takes two descriptors; the soft limit of a login shell is 1024."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
