"""The Control UI from upstream's package, served by the router itself: a page load wakes nobody.

A browser gets the same page, with the same headers, as from a gateway of its own (tests/router/control_ui_upstream.json
holds a real gateway's answers). Differences, all on purpose: `data-openclaw-terminal-enabled` is left out
(`control_ui_document`); the document is compressed by gzip and not also by brotli, which would save 30 bytes; HEAD of
the document says what GET would say; a shared link leads on at once instead of by a click.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from .control_ui_document import content_security_policy, document
from .control_ui_files import CONTENT_TYPES, PRECOMPRESSED, Representation, StaticFile, list_files
from .control_ui_negotiation import accepts_html, content_encodings, unmodified
from .control_ui_paths import Owner, extension, file_name, named_by_content, owner, share_target, versioned

SECURITY_HEADERS = {
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": content_security_policy(),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(self), microphone=*, geolocation=*, clipboard-write=*",
}
"""On every answer of the UI; upstream's `applyControlUiSecurityHeaders`."""
IMMUTABLE = "public, max-age=31536000, immutable"
OWN_BOOTSTRAP = {"embedSandbox": "strict"}
"""The page's configuration while its tenant sleeps (always, for a native tenant).

The page asks for it at its start, when it has stored a token, and again as soon as its WebSocket is connected, when a
gateway of upstream's answers in full. In between it works with its own defaults, which this body repeats: every field
that it reads (`assistantName`, `serverVersion`, `environment`, `terminalEnabled`, `pluginFrameGrants`, ...) has one when
it is missing, and each is the careful one but for `embedSandbox`, whose default is "scripts". So it is said here.
"""
OWN_AVATAR = {"avatarUrl": None, "avatarSource": None, "avatarStatus": None, "avatarReason": None}
"""Upstream's words for an agent without a picture (`/avatar/ID?meta=1`)."""


class ControlUi:
    """Answers what is the UI's on the router's port.

    Parameters
    ----------
    root
        The folder `dist/control-ui` of the npm package. Read now; raises OSError when it can't be.
    answered_here
        Tells whether a request has a valid token, of a tenant whose gateway is not to be asked what the page wants to
        know before it is connected: it sleeps, or has no such answers.
    """

    def __init__(self, root: Path, answered_here: Callable[[Request], bool]) -> None:
        self._files = list_files(root)
        self._answered_here = answered_here
        self._document = document((root / "index.html").read_text())

    def response(self, request: Request) -> Response | None:
        """Return the answer, or None for what the tenant's gateway has to answer, or to be refused for want of a token."""
        if request.method not in ("GET", "HEAD"):
            return None
        path = request.scope["raw_path"].decode("latin-1")
        match owner(path):
            case Owner.GATEWAY:
                return None
            case Owner.NOBODY:
                return _plain(404, "Not Found")
            case Owner.SHARED:
                return self._shared(request, path)
            case Owner.BOOTSTRAP:
                return _json(OWN_BOOTSTRAP) if self._answered_here(request) else None
            case Owner.AVATAR:
                return self._avatar(request) if self._answered_here(request) else None
            case Owner.IMAGE:
                return _no_picture() if self._answered_here(request) else None
            case Owner.DOCUMENT:
                return self._page(request)
            case Owner.UI:
                return self._static(request, path)

    def _static(self, request: Request, path: str) -> Response | None:
        name = file_name(path)
        if name is None or extension(name) in PRECOMPRESSED:
            return _plain(404, "Not Found")
        file = self._files.get(name)
        if name == "index.html":
            return self._page(request)
        if file is not None:
            return self._file(request, file)
        if request.headers.get("authorization", "").lower().startswith("bearer "):
            return None  # a browser's navigation has no token: this is a program, and may mean a route of a plugin
        if extension(name) in CONTENT_TYPES.keys() - {".html"} or not accepts_html(request.headers.get("accept", "")):
            return _plain(404, "Not Found")
        return self._page(request)

    def _page(self, request: Request) -> Response:
        page = self._document
        codings = content_encodings(_listed(request, "accept-encoding"), ("gzip",))
        if not codings:
            return _not_acceptable()
        headers = {
            **SECURITY_HEADERS,
            "Content-Security-Policy": content_security_policy(
                page.script_hashes, request.headers.get("host", ""), wasm=True
            ),
            "Content-Type": CONTENT_TYPES[".html"],
            "Cache-Control": "no-cache",
            "Vary": "Accept-Encoding",
        }
        if codings[0] == "gzip":
            headers["Content-Encoding"] = "gzip"
        return Response(page.gzipped if codings[0] == "gzip" else page.body, headers=headers)

    def _file(self, request: Request, file: StaticFile) -> Response:
        codings = content_encodings(_listed(request, "accept-encoding"), file.representations)
        if not codings:
            return _not_acceptable()
        modified = min(file.modified, int(time.time()))
        headers = {
            **SECURITY_HEADERS,
            "Cache-Control": IMMUTABLE if self._never_changes(request, file.name) else "no-cache",
            "Last-Modified": formatdate(modified, usegmt=True),
            "Vary": "Accept-Encoding",
        }
        since = request.headers.getlist("if-modified-since")
        if unmodified(request.headers.get("if-none-match"), since[0] if len(since) == 1 else None, modified):
            return Response(status_code=304, headers=headers)
        sent = file.representations[codings[0]]
        headers["Content-Type"] = file.content_type
        headers["Content-Length"] = str(sent.size)
        if codings[0] != "identity":
            headers["Content-Encoding"] = codings[0]
        if request.method == "HEAD":
            return Response(headers=headers)
        return _FileResponse(sent, headers)

    def _never_changes(self, request: Request, name: str) -> bool:
        if named_by_content(name):
            return True
        build_id = self._document.build_id
        if build_id is None or not versioned(name):
            return False
        return parse_qs(request.url.query).get("v", [""])[0] == build_id

    def _avatar(self, request: Request) -> Response:
        if parse_qs(request.url.query).get("meta", [""])[0] == "1":
            return _json(OWN_AVATAR)
        return _no_picture()

    def _shared(self, request: Request, path: str) -> Response:
        query = request.url.query
        # The path begins with /chat/ or /dashboard/ (control_ui_paths), so it can't lead to another site.
        headers = {"Location": share_target(path) + (f"?{query}" if query else ""), "Cache-Control": "no-store"}
        return Response(status_code=302, headers={**SECURITY_HEADERS, **headers})


class _FileResponse(Response):
    """A file in chunks. Starlette's `StreamingResponse` does it at three times the cost, to notice who leaves early."""

    def __init__(self, sent: Representation, headers: dict[str, str]) -> None:
        super().__init__(headers=headers)
        self._sent = sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        async for chunk in self._sent.chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def _listed(request: Request, name: str) -> str:
    return ",".join(request.headers.getlist(name))


def _json(body: dict[str, str] | dict[str, None]) -> Response:
    headers = {**SECURITY_HEADERS, "Content-Type": CONTENT_TYPES[".json"], "Cache-Control": "no-cache"}
    return JSONResponse(body, headers=headers)


def _plain(status: int, text: str, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(text, status, headers={**SECURITY_HEADERS, **(headers or {})})


def _no_picture() -> Response:
    return _plain(404, "Not Found", {"Cache-Control": "no-store"})  # there may be one when the gateway is awake


def _not_acceptable() -> Response:
    return _plain(406, "Not Acceptable", {"Cache-Control": "no-store", "Vary": "Accept-Encoding"})
