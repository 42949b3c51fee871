"""The routes of the router's public port."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response

from .control_ui import ControlUi
from .proxy import HttpProxy

if TYPE_CHECKING:
    from ..server import Router


def build_app(router: Router, proxy: HttpProxy) -> FastAPI:
    """Return the ASGI app: health of the router itself, static files, and everything with a token to its tenant."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    control_ui = ControlUi(router.settings.control_ui) if router.settings.control_ui is not None else None

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
    async def everything_else(request: Request, path: str) -> Response:
        if control_ui is not None and request.method in ("GET", "HEAD") and "authorization" not in request.headers:
            page = control_ui.response(path, request.method)
            if page is not None:
                return page
        return await proxy.forward(request)

    return app
