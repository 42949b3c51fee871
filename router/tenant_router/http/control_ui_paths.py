"""Whose a path is on a gateway's port: the Control UI's, and what of it, or the tenant's own. Pure functions.

The order and the lists are those of upstream's request stages (`server-start`, `control-ui-routing`) without a base path.
"""

from __future__ import annotations

import base64
import re
from enum import Enum, auto
from pathlib import PurePosixPath
from posixpath import normpath
from urllib.parse import unquote_to_bytes

ROOT_ASSETS = frozenset(
    {"apple-touch-icon.png", "favicon-32.png", "favicon.ico", "favicon.svg", "manifest.webmanifest", "sw.js"}
)
"""Files beside index.html that upstream also serves below `/__openclaw__/`, and whose links it stamps with the build."""
_VERSIONED = re.compile(
    r"fonts/[^/]+\.(?:css|woff2)|themes/[^/]+\.css|(?:provider-icons|cloud-provider-icons|file-icons(?:/[^/]+)*)/[^/]+\.svg"
    r"|(?:app-art|community-art)/[^/]+\.webp"
)
_BOOTSTRAP = frozenset(
    {"/control-ui-config.json", "/__openclaw/control-ui-config.json", "/__openclaw__/control-ui-config.json"}
)
_GATEWAY = re.compile(
    r"/(?:healthz?|readyz?|startupz?|api|j|v1)(?:/.*)?"  # probes (the router's own are routed before), HTTP API
    r"|/tools/invoke|/sessions/[^/]+/(?:history|kill)"
    r"|/oauth/(?:mcp|provider)/callback"  # they belong to one tenant and name none
    r"|/share/session"  # a published session; its token says only to its own gateway which
    r"|/__openclaw__/(?:mcp-app|worker|worker-bundle|worker-transfer|worker-bootstrap|board|cap|canvas|a2ui|assistant-media)(?:/.*)?"
    r"|/__openclaw__/plugins/control-ui/.*"
)
_IMAGE = re.compile(
    r"/__openclaw__/(?:catalog-icon|channel-avatar|link-favicon|plugin-icon|plugin-activity-icon|workspace-icon)/[^/]+"
    r"|/__openclaw__/plugin-theme-art/[^/]+/[^/]+/[^/]+/[^/]+|/api/users/[^/]+/avatar"
)
_AVATAR = re.compile(r"/avatar/[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_ALWAYS_DOCUMENT = re.compile(r"/settings/plugins/?|/approve/?|/approve/[^/]+|/focus(?:/.*)?")
_SHARED = re.compile(r"/share(/(?:chat|dashboard)/[^/].*)")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


class Owner(Enum):
    """Who answers a GET or HEAD."""

    GATEWAY = auto()
    """The tenant's gateway, by the token that comes with the request."""
    UI = auto()
    """A static file, or the app's document."""
    DOCUMENT = auto()
    """The app's document, whatever the browser says it accepts."""
    BOOTSTRAP = auto()
    """The page's configuration. Needs a token."""
    AVATAR = auto()
    """The picture of an agent. Needs a token."""
    IMAGE = auto()
    """Another small picture that the gateway has. Needs a token."""
    SHARED = auto()
    """A link to a session that was passed on."""
    NOBODY = auto()
    """404."""


def owner(path: str) -> Owner:
    """Return whose this path is; `path` still has its percent escapes."""
    if path in _BOOTSTRAP:
        return Owner.BOOTSTRAP
    if _IMAGE.fullmatch(path):
        return Owner.IMAGE
    if _GATEWAY.fullmatch(path) or _BROKEN_ESCAPE.search(path) or _of_a_plugin(path):
        return Owner.GATEWAY
    if path.startswith("/avatar/"):
        return Owner.AVATAR if _AVATAR.fullmatch(path) else Owner.NOBODY
    if path == "/ui" or path.startswith("/ui/"):
        return Owner.NOBODY
    if path == "/share" or (path.startswith("/share/") and path != "/share/card.png"):
        return Owner.SHARED if _SHARED.fullmatch(path) else Owner.NOBODY
    return Owner.DOCUMENT if _ALWAYS_DOCUMENT.fullmatch(path) else Owner.UI


def _of_a_plugin(path: str) -> bool:
    """Plugins own `/plugins/*`, but for the app's list of plugins and its page of one, named by an encoded identity."""
    if not path.startswith("/plugins/") or path == "/plugins/":
        return False
    name = re.fullmatch(r"(?:ch|local)_([A-Za-z0-9_-]+)", path.removeprefix("/plugins/"))
    if name is None:
        return True
    try:
        base64.urlsafe_b64decode(name[1] + "=" * (-len(name[1]) % 4)).decode()
    except ValueError:
        return True
    return False


def file_name(path: str) -> str | None:
    """Return the name, relative to the folder, that a path of the UI stands for; None: it leads out of the folder."""
    if path == "/share/card.png":
        return "social-card.png"
    asset = path.find("/assets/")
    if asset >= 0:
        name = path[asset + 1 :]  # links of a document that was loaded below a deep path
    else:
        name = path[1:]
        if path.startswith("/__openclaw__/") and (short := path.removeprefix("/__openclaw__/")) in ROOT_ASSETS:
            name = short
    if not name or name.endswith("/"):
        name += "index.html"
    try:
        decoded = normpath(unquote_to_bytes(name).decode())
    except UnicodeDecodeError:
        return None
    return None if decoded.startswith(("/", "../")) or decoded == ".." or "\0" in decoded else decoded


def named_by_content(name: str) -> bool:
    """Tell whether a file's name contains a hash of its content, so that it never changes under that name."""
    return name.startswith("assets/")


def versioned(name: str) -> bool:
    """Tell whether links to this file carry the build (`?v=`), with which it never changes."""
    return (name in ROOT_ASSETS and name != "sw.js") or _VERSIONED.fullmatch(name) is not None


def extension(name: str) -> str:
    """Return a name's extension as Node's `path.extname` would, in lower case, with the dot."""
    return PurePosixPath(name).suffix.lower()


def share_target(path: str) -> str:
    """Return the app's own path behind a shared link (`Owner.SHARED`)."""
    return path.removeprefix("/share")
