"""The subject: one router process in front of one gateway that is always awake.  router_process.py PORT GATEWAY_PORT TOKEN"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Set
from typing import Final

from tenant_api.garbage import settle
from tenant_api.passive import DEFAULT_PASSIVE_METHODS
from tenant_api.tokens import token_digest
from tenant_router.fleet import GatewayAddress, TenantRecord, TokenMatch
from tenant_router.loop import RelayLoop
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

TENANT = TenantRecord("benchmark")
PASSIVE: Final = frozenset(DEFAULT_PASSIVE_METHODS)


class OneGateway:
    """A fleet of one tenant whose gateway somebody else runs."""

    def __init__(self, port: int, token: str) -> None:
        self._address = GatewayAddress("127.0.0.1", port, uid="1", user="benchmark")
        self._match = TokenMatch(TENANT, "benchmark")
        self._digest = token_digest(token)

    def find(self, digest: bytes) -> TokenMatch | None:
        """Return the tenant for its token."""
        return self._match if digest == self._digest else None

    def awake(self, key: str) -> GatewayAddress | None:
        """Return the one address."""
        return self._address

    def knows(self, key: str) -> bool:
        """Tell whether it is the one tenant."""
        return key == TENANT.key

    def passive_methods(self, key: str) -> Set[str]:
        """Return what a template has where it says nothing else."""
        return PASSIVE

    async def wake(self, key: str, reason: str) -> GatewayAddress:
        """Return the one address."""
        return self._address

    def ended(self, address: GatewayAddress) -> str | None:
        """It never ends."""
        return None

    def greeted(self, address: GatewayAddress) -> None:
        """Nothing depends on it."""

    def gave_up(self, address: GatewayAddress, reason: str) -> None:
        """Nothing depends on it."""


async def main(port: int, gateway: int, token: str) -> None:
    """Serve until SIGTERM."""
    router = Router(OneGateway(gateway, token), RouterSettings(listen=("127.0.0.1", port), admin=("127.0.0.1", 0)))
    router.start()
    settle()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await router.close()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=RelayLoop) as runner:
        runner.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
