"""The app's HTML document as upstream's gateway sends it: links made absolute and stamped, scripts allowed by hash."""

from __future__ import annotations

import base64
import gzip
import hashlib
import re
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

from .control_ui_paths import ROOT_ASSETS, versioned

BUILD_ATTRIBUTE = "data-openclaw-control-ui-build-id"
_BUILD = re.compile(BUILD_ATTRIBUTE + r'="([a-zA-Z0-9._-]{1,161})"')
_SCRIPT = re.compile(r"<script((?:\s[^>]*)?)>(.*?)</script>", re.IGNORECASE | re.DOTALL)
_SRC = re.compile(r"""\ssrc(?:\s*=\s*(?:"[^"]*"|'[^']*'|[^\s>]+))?""", re.IGNORECASE)
_HTML_TAG = re.compile(r"<html\b[^>]*>", re.IGNORECASE)
_HOST = re.compile(r"([a-z0-9.-]+|\[[0-9a-f:.]+\])(?::\d{1,5})?", re.IGNORECASE)
"""A `Host` header that may stand in a policy; anything else is left out instead of quoted."""


@dataclass(frozen=True, slots=True)
class Document:
    """A document ready to send."""

    body: bytes
    gzipped: bytes
    script_hashes: tuple[str, ...]
    build_id: str | None
    """What stands behind `?v=` in links to files that do not change within a build."""


def document(html: str) -> Document:
    """Prepare the text of `index.html`.

    As upstream does it for an empty base path, but for one attribute: `data-openclaw-terminal-enabled` says before any
    login whether the tenant has a terminal, and a page whose bootstrap config then says otherwise reloads itself, for
    ever. One document for all tenants can't know; without the attribute the page believes the config alone.
    """
    found = _BUILD.search(html)
    build_id = found[1] if found else None
    html = _with_absolute_links(html, build_id)
    attributes = ' data-openclaw-control-ui-base-path=""'
    if build_id is not None:
        attributes += f' {BUILD_ATTRIBUTE}="{escape(build_id)}"'
    html = _HTML_TAG.sub(
        lambda tag: "<html" + attributes + re.sub(rf'\s{BUILD_ATTRIBUTE}="[^"]*"', "", tag[0])[5:], html, count=1
    )
    body = html.encode()
    hashes = tuple(
        "sha256-" + base64.b64encode(hashlib.sha256(script[2].encode()).digest()).decode()
        for script in _SCRIPT.finditer(html)
        if script[2] and not _SRC.search(script[1])
    )
    return Document(body, gzip.compress(body, 9, mtime=0), hashes, build_id)


def _with_absolute_links(html: str, build_id: str | None) -> str:
    """Anchor the links at the root, so that a document below `/chat/...` finds its files."""
    replacements = {'src="./assets/': 'src="/assets/', 'href="./assets/': 'href="/assets/'}
    for asset in ROOT_ASSETS:
        version = f"?v={quote(build_id, safe='')}" if build_id is not None and versioned(asset) else ""
        for link in (f'href="./{asset}"', f'href="/{asset}"'):
            replacements[link] = f'href="/{asset}{version}"'
    return re.sub("|".join(map(re.escape, replacements)), lambda link: replacements[link[0]], html)


def content_security_policy(script_hashes: tuple[str, ...] = (), host: str = "", *, wasm: bool = False) -> str:
    """Return upstream's policy (`buildControlUiCspHeader`).

    Parameters
    ----------
    script_hashes
        Of the document's inline scripts.
    host
        The request's `Host`: the page may ask other ports of it, where gateways show what agents serve ("portals").
    wasm
        For the terminal, which is WebAssembly.
    """
    scripts = ["'self'", *(f"'{one}'" for one in script_hashes), *(["'wasm-unsafe-eval'"] if wasm else [])]
    connect = ["'self'", "ws:", "wss:", "data:", "https://api.openai.com", "https://tweakcn.com"]
    if named := _HOST.fullmatch(host):
        connect += [f"{scheme}://{named[1].lower()}:*" for scheme in ("http", "https")]
    return "; ".join(
        (
            "default-src 'self'",
            "base-uri 'none'",
            "object-src 'none'",
            "frame-ancestors 'none'",
            "frame-src 'self' http: https:",
            f"script-src {' '.join(scripts)}",
            "style-src 'self' 'unsafe-inline' https://fonts.googleapis.com",
            "img-src 'self' data: blob: https:",
            "media-src 'self' data: blob:",
            "font-src 'self' https://fonts.gstatic.com",
            "worker-src 'self'",
            f"connect-src {' '.join(connect)}",
        )
    )
