"""The routes of the router's public port."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from .. import entry
from .control_ui import ControlUi
from .proxy import HttpProxy

if TYPE_CHECKING:
    from ..server import Router


def build_app(router: Router, proxy: HttpProxy) -> FastAPI:
    """Return the ASGI app: health of the router itself, static files, and everything with a token to its tenant."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    folder = router.settings.control_ui
    control_ui = ControlUi(folder, partial(_answered_here, router)) if folder is not None else None

    # Upstream's own paths and bodies (openclaw-protocol 2.4), for load balancers that probe them without a token.
    @app.get("/health")
    @app.get("/healthz")
    async def live() -> JSONResponse:
        return JSONResponse({"ok": True, "status": "live"})

    @app.get("/startup")
    @app.get("/startupz")
    async def started() -> JSONResponse:
        if router.draining:
            return JSONResponse({"ok": False, "status": "draining"}, 503)
        return JSONResponse({"ok": True, "status": "started"})

    @app.get("/ready")
    @app.get("/readyz")
    async def ready() -> JSONResponse:
        if router.draining:
            return JSONResponse({"ready": False, "failing": ["gateway-draining"]}, 503)
        return JSONResponse({"ready": True})

    @app.api_route("/{path:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    async def everything_else(request: Request) -> Response:
        if control_ui is not None and (page := control_ui.response(request)) is not None:
            return page
        return await proxy.forward(request)

    return app


def _answered_here(router: Router, request: Request) -> bool:
    """Tell whether the request's token is valid, and its tenant's gateway asleep or one that has nothing of the page's."""
    match = entry.holder(router, entry.bearer_digest(request.headers.get("authorization", "")))
    if match is None:
        return False
    return match.tenant.runtime == "native" or router.fleet.awake(match.tenant.key) is None
