"""What the router asks of a fleet: who has this token, and wake this tenant.

The router knows no more of where gateways run than this file. `tenant_local.fleet` implements it with child
processes on one machine; a Kubernetes fleet implements it with watches and the scale subresource.
"""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Limits:
    """What one tenant may ask of the router. None: no limit."""

    connections: int | None = None
    requests_per_minute: int | None = None
    wakes_per_hour: int | None = None


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """One tenant as the router sees it; replaced as a whole when its resources change."""

    key: str
    """Names the tenant in logs and metrics: its name on one machine, `namespace/name` on Kubernetes."""
    runtime: str = "native"
    suspended: bool = False
    """`spec.power: Suspended`: connections are refused and nothing wakes it."""
    limits: Limits = Limits()
    wake_timeout: float = 60.0
    """Seconds from the start of a wake until it is given up (`TenantTemplate.spec.wake.timeout`)."""
    plan: str = "standard"
    weight: int = 1


@dataclass(frozen=True, slots=True)
class TokenMatch:
    """The answer to "who has this token?"."""

    tenant: TenantRecord
    token_name: str
    expires_at: float | None = None
    """Seconds since the epoch (time.time), None: never."""


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """Where one incarnation of a tenant's gateway listens, and how the router proves itself to it."""

    host: str
    port: int
    uid: str
    """Fences incarnations: a new process or pod of the same tenant has another uid."""
    user: str = field(repr=False)
    """Value of the identity header (`gateway.auth.trustedProxy.allowUsers`); carries the tenant's identity secret."""


class WakeFailed(Exception):
    """A wake came to nothing; the text says why in words an operator can act on. The next request tries anew."""

    def __init__(self, text: str, lasting: bool = False) -> None:
        super().__init__(text)
        self.lasting = lasting
        """Trying anew comes to nothing until a person has mended something: a config that is refused, a key that is missing."""

    @property
    def for_clients(self) -> str:
        """The reason as a tenant's client may read it."""
        return str(self)


class Fleet(Protocol):
    """The tenants that a router serves. Every method is called on the router's event loop."""

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return who has the token with this SHA-256 digest (32 bytes). In memory, O(1); expiry is the router's to check."""
        ...

    def knows(self, key: str) -> bool:
        """Tell whether there is such a tenant."""
        ...

    def passive_methods(self, key: str) -> Set[str]:
        """Return the methods whose requests are no use of this tenant (`TenantTemplate.spec.idle.passiveMethods`), as of now.

        In memory, O(1); for a tenant that is gone, any.
        """
        ...

    def awake(self, key: str) -> GatewayAddress | None:
        """Return the address of a gateway that is believed to be up, without waiting."""
        ...

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        """Start the tenant's gateway if need be and return as soon as there is an address worth dialling.

        The router coalesces: it never has two of these running for one tenant. It goes on dialling until the gateway
        answers, `ended` says that this incarnation is gone, or `wake_timeout` is over.

        Raises
        ------
        WakeFailed
            The gateway can't be started (now).
        """
        ...

    def ended(self, address: GatewayAddress) -> str | None:
        """Return why this incarnation is gone (it exited, it was replaced), or None while it may still answer."""
        ...

    def greeted(self, address: GatewayAddress) -> None:
        """Hear from the router that this incarnation has said hello: it is awake."""
        ...

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        """Hear that this incarnation said no hello within `wake_timeout`; the fleet makes sure that the next wake starts anew."""
        ...
