"""Routes that the one-machine mode adds to the router's admin port: its tenants, for the other commands."""

from __future__ import annotations

import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, HTTPException, Query

from tenant_local.fleet import LocalFleet
from tenant_local.registry import UnknownTenant
from tenant_router.fleet import WakeFailed
from tenant_router.server import Router


def tenant_routes(router: Router, fleet: LocalFleet, token: str) -> APIRouter:
    """Return the routes below /tenants. They need the token that only this machine's user can read.

    Without it any page in a browser on this machine could wake and suspend (CSRF).
    """

    def authorized(authorization: Annotated[str, Header()] = "") -> None:
        if not secrets.compare_digest(authorization.encode(), f"Bearer {token}".encode()):
            raise HTTPException(401, "this needs the admin token of the running `up`")

    routes = APIRouter(prefix="/tenants", dependencies=[Depends(authorized)])

    @routes.get("")
    async def tenants() -> dict[str, Any]:
        return {
            "tenants": [fleet.describe(name).as_json() for name in fleet.names()],
            "problems": list(map(str, fleet.errors)),
        }

    @routes.get("/{name}")
    async def why(name: str) -> dict[str, Any]:
        with _known(name):
            return fleet.why(name).as_json()

    @routes.post("/{name}/wake")
    async def wake(name: str) -> dict[str, Any]:
        with _known(name):
            try:
                await router.waker.address(fleet.record(name), "operator", "asked for by an operator")
            except WakeFailed as failed:
                raise HTTPException(503, str(failed)) from None
            return fleet.describe(name).as_json()

    @routes.post("/{name}/suspend")
    async def suspend(name: str) -> dict[str, Any]:
        with _known(name):
            await fleet.suspend(name, "asked for by an operator")
            return fleet.describe(name).as_json()

    @routes.get("/{name}/logs")
    async def logs(name: str, lines: Annotated[int, Query(ge=1, le=10_000)] = 100) -> dict[str, Any]:
        with _known(name):
            return {"name": name, "lines": fleet.logs(name, lines).splitlines()}

    return routes


class _known:  # noqa: N801 - reads as a statement
    """Turns UnknownTenant into 404."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if isinstance(error, UnknownTenant):
            raise HTTPException(
                404, f"there is no tenant {self._name!r}; `openclaw-tenancy tenants` lists them"
            ) from None
