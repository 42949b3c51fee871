"""Where gateways may go besides public HTTPS and DNS: `network:port`, one notation for templates and the operator's setting."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import AfterValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from tenant_api.schema import cel

PATTERN: Final = r"^[0-9a-fA-F.:]+/[0-9]{1,3}:[0-9]{1,5}$"
"""The same as in the chart's values.schema.json."""
MAX_CHARS: Final = 60
"""An IPv6 address has 45 characters at most, its prefix 4, a port 6."""
NOTATION: Final = "is no network:port"
HINT: Final = "write e.g. 10.1.2.0/24:8080, 10.1.2.3/32:8080 or fd12:3456::/48:8080"

NEVER_OPEN: Final = tuple(
    map(
        ipaddress.ip_network,
        (
            "169.254.0.0/16",  # link-local: instance metadata of AWS, Azure, Google Cloud, OpenStack and most others
            "fe80::/10",
            "fd00:ec2::/32",  # AWS, and the credentials of EKS pods
            "fd20:ce::254/128",  # Google Cloud
            "100.100.100.200/32",  # Alibaba Cloud
            "168.63.129.16/32",  # Azure's WireServer
            "192.0.0.192/32",  # Oracle Cloud
            "::ffff:0:0/96",  # IPv4 in disguise
            "64:ff9b::a9fe:0/112",  # 169.254.0.0/16 by NAT64 (RFC 6052)
        ),
    )
)
"""Addresses from which a cloud hands out its credentials to whoever asks: no setting and no template opens them."""

_TOO_MUCH: Final = "name the network of the server that is meant, and no more"
_LINK_LOCAL: Final = ipaddress.IPv4Network("169.254.0.0/16")
_AROUND: Final = [str(_LINK_LOCAL.supernet(new_prefix=length)) for length in range(_LINK_LOCAL.prefixlen)]
_RULE: Final = (
    r"!self.matches('(?i)^(169\\.254\\.|fe[89ab]|fd00:ec2:|::/)')"
    f" && !{_AROUND}.exists(around, self.startsWith(around + ':'))"
)
"""What of `NEVER_OPEN` the API server can see for itself: its own functions for networks come with Kubernetes 1.31.
The operator sees the rest, and says so in the template's condition Accepted."""


class NoEgress(ValueError):
    """A text names no destination, or one that nobody may open."""

    def __init__(self, problem: str, hint: str) -> None:
        super().__init__(f"{problem}: {hint}")
        self.problem, self.hint = problem, hint


@dataclass(frozen=True, slots=True)
class Egress:
    """A destination that gateways may reach besides public HTTPS and DNS."""

    network: str
    """In CIDR notation."""
    port: int
    """Of TCP."""

    def holds(self, host: str, port: int) -> bool:
        """Tell whether an address, as digits, is one of the destination's."""
        return port == self.port and ipaddress.ip_address(host) in ipaddress.ip_network(self.network)


def parse_egress(text: str) -> Egress:
    """Return the destination that a text names.

    Raises
    ------
    NoEgress
        It names none, or one with addresses of `NEVER_OPEN`.
    """
    address, _, port = text.rpartition(":")
    if "/" not in address or not (port.isascii() and port.isdigit()) or not 0 < int(port) < 65536:
        raise NoEgress(NOTATION, HINT)
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        raise NoEgress(NOTATION, HINT) from None
    if ipaddress.ip_interface(address).ip != network.network_address:
        raise NoEgress("has bits set behind its prefix", f"write {network}:{port}, or /{network.max_prefixlen} for one")
    for closed in NEVER_OPEN:
        if closed.version == network.version and closed.overlaps(network):
            raise NoEgress(
                f"opens {closed}, from where clouds hand out their credentials",
                _TOO_MUCH,
            )
    return Egress(str(network), int(port))


def _destination(text: str) -> str:
    try:
        parse_egress(text)
    except NoEgress as error:
        raise PydanticCustomError("egress", "{problem}", {"problem": error.problem, "hint": error.hint}) from None
    return text


EgressText = Annotated[
    str,
    AfterValidator(_destination),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": PATTERN,
            "minLength": 1,
            "maxLength": MAX_CHARS,
            **cel((_RULE, f"opens addresses from where clouds hand out their credentials: {_TOO_MUCH}")),
        }
    ),
]
"""A destination as people write it."""
