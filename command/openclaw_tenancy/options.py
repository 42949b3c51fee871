"""Options that several commands have."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Annotated

import typer

from tenant_router.settings import Network

from .errors import CommandError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Admin = Annotated[
    str | None,
    typer.Option(
        "--admin",
        metavar="HOST:PORT",
        envvar="OPENCLAW_TENANCY_ADMIN",
        help="Admin address of the running `up`; needed only when several run.",
    ),
]
TenantName = Annotated[str, typer.Argument(metavar="TENANT", help="Name of the tenant (metadata.name).")]


def host_port(text: str, option: str) -> tuple[str, int]:
    """Split `HOST:PORT` ([::1]:1 for IPv6).

    Raises
    ------
    CommandError
        It is not one.
    """
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdigit() or int(port) > 65535:
        raise CommandError(f"{option} {text!r} is not HOST:PORT, for example 127.0.0.1:18789")
    return host, int(port)


def networks(texts: list[str], option: str) -> tuple[Network, ...]:
    """Parse addresses and CIDRs.

    Raises
    ------
    CommandError
        One of them is neither.
    """
    try:
        return tuple(ip_network(text) for text in texts)
    except ValueError as error:
        raise CommandError(f"{option}: {error}; give an address or a network such as 10.0.0.0/8") from None
