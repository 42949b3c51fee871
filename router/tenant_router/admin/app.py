"""The routes of the admin port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from ..suspend.routes import suspend_routes

if TYPE_CHECKING:
    from ..server import Router


class TenantActivityReport(BaseModel):
    """One tenant's activity on this router."""

    connections: int = Field(description="Open client WebSockets plus HTTP requests in flight.")
    opening: int = Field(description="Those of them that are being opened, and the HTTP requests: they keep it awake.")
    parked: int = Field(description="Those of them whose clients stay connected while the gateway sleeps.")
    last_request: float = Field(
        description="When a client last really asked for something, seconds since 1970; 0: never here."
    )
    last_seen: float = Field(description="When a connection was last opened or closed, seconds since 1970.")
    waking: bool = Field(description="A wake of this tenant runs on this router.")


class ActivityReport(BaseModel):
    """Every tenant that was active since this router started. What is not listed was not seen here."""

    since: float = Field(description="When this router started, seconds since 1970.")
    draining: bool
    tenants: dict[str, TenantActivityReport]


def build_admin_app(router: Router) -> FastAPI:
    """Return the admin ASGI app; the one-machine mode adds its own routes to it."""
    app = FastAPI(title="OpenClaw Tenancy router", openapi_url=None, docs_url=None, redoc_url=None)

    @app.get("/healthz")
    async def healthz() -> dict[str, bool]:
        return {"ok": True}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        ready = router.listening and not router.draining
        return JSONResponse({"ready": ready, "draining": router.draining}, 200 if ready else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(router.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @app.get("/activity")
    async def activity() -> ActivityReport:
        return ActivityReport(
            since=router.activity.since,
            draining=router.draining,
            tenants={
                key: TenantActivityReport(
                    connections=seen.connections,
                    opening=seen.opening,
                    parked=seen.parked,
                    last_request=seen.last_request,
                    last_seen=seen.last_seen,
                    waking=router.waker.under_way(key),
                )
                for key, seen in router.activity.tenants.items()
            },
        )

    app.include_router(suspend_routes(router))
    return app
