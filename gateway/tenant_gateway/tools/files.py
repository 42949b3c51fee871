"""`read`, `write`, `edit`, `ls`: files of the workspace."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, Final

from tenant_gateway.tools.base import Arguments, Result, Tool, ToolContext, ToolError, cut, number, text
from tenant_gateway.workspace.confine import Outside

_MAX_LINES: Final = 2000
_MAX_ENTRIES: Final = 500
_IMAGES: Final = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
}

Blocking = Callable[[ToolContext, Arguments], Result]


def in_thread(function: Blocking) -> Callable[[ToolContext, Arguments], Awaitable[Result]]:
    """Run a tool that waits for the disk in a thread, and turn its file errors into what a model understands."""

    @wraps(function)
    async def run(context: ToolContext, arguments: Arguments) -> Result:
        try:
            return await asyncio.to_thread(function, context, arguments)
        except Outside as error:
            raise ToolError(str(error)) from None
        except OSError as error:
            raise ToolError(f"{error.strerror}: {error.filename}" if error.filename else str(error)) from None

    return run


@in_thread
def read(context: ToolContext, arguments: Arguments) -> Result:
    """Read a file, or a part of it."""
    path = text(arguments, "path")
    kind = _IMAGES.get(path[path.rfind(".") :].lower() if "." in path else "")
    if kind is not None:
        data = context.root.read_bytes(path)
        image = {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": kind}
        return Result(f"Read image file [{kind}]", image=image)
    content = context.root.read_bytes(path)
    if b"\0" in content[:8192]:
        raise ToolError(f"{path} is a binary file of {len(content)} bytes")
    lines = content.decode(errors="replace").split("\n")
    first = number(arguments, "offset", 1, 1)
    limit = number(arguments, "limit", _MAX_LINES, 1, _MAX_LINES)
    if first > len(lines):
        raise ToolError(f"offset {first} is beyond the end of {path} ({len(lines)} lines)")
    shown = cut("\n".join(lines[first - 1 : first - 1 + limit]))
    rest = len(lines) - (first - 1 + limit)
    if rest > 0:
        shown += f"\n[{rest} more lines; go on with offset {first + limit}]"
    return Result(shown)


@in_thread
def write(context: ToolContext, arguments: Arguments) -> Result:
    """Write a whole file."""
    path, content = text(arguments, "path"), text(arguments, "content")
    size = context.root.write_text(path, content)
    return Result(f"Wrote {size} bytes to {path}")


@in_thread
def edit(context: ToolContext, arguments: Arguments) -> Result:
    """Replace pieces of a file, each of which must be there exactly once."""
    path = text(arguments, "path")
    content = context.root.read_bytes(path).decode()
    for old, new in _edits(arguments):
        count = content.count(old)
        if count != 1:
            found = "not found" if count == 0 else f"found {count} times; give more context to make it unique"
            raise ToolError(f"the text to replace was {found} in {path}: {old[:200]!r}")
        content = content.replace(old, new)
    context.root.write_text(path, content)
    return Result(f"Edited {path}")


def _edits(arguments: Arguments) -> list[tuple[str, str]]:
    edits = arguments.get("edits")
    if edits is None:
        edits = [arguments]
    if not isinstance(edits, list) or not edits or not all(isinstance(item, dict) for item in edits):
        raise ToolError("edits must be a list of {oldText, newText}")
    pairs = [(text(item, "oldText"), text(item, "newText")) for item in edits]
    if any(not old for old, _ in pairs):
        raise ToolError("oldText must not be empty")
    return pairs


@in_thread
def ls(context: ToolContext, arguments: Arguments) -> Result:
    """List a directory, directories with a slash."""
    path = text(arguments, "path", ".")
    limit = number(arguments, "limit", _MAX_ENTRIES, 1, _MAX_ENTRIES)
    names = sorted(context.root.list_directory(path), key=str.lower)
    shown = "\n".join(names[:limit]) or "(empty directory)"
    if len(names) > limit:
        shown += f"\n[{len(names) - limit} more entries]"
    return Result(shown, {"content": shown})


_PATH: Final[dict[str, Any]] = {"type": "string", "description": "Path in the workspace, relative to it"}

TOOLS: Final = (
    Tool(
        "read",
        "fs",
        "Read",
        "Read a file of the workspace. Text comes in at most 2000 lines; use offset and limit for more. Images are shown.",
        {
            "path": _PATH,
            "offset": {"type": "number", "description": "First line, counted from 1"},
            "limit": {"type": "number", "description": "Number of lines"},
        },
        ("path",),
        read,
        ("path",),
    ),
    Tool(
        "write",
        "fs",
        "Write",
        "Write a whole file of the workspace; directories are made, an existing file is replaced.",
        {"path": _PATH, "content": {"type": "string", "description": "The content"}},
        ("path", "content"),
        write,
        ("path",),
    ),
    Tool(
        "edit",
        "fs",
        "Edit",
        "Replace exact pieces of a text file. Each oldText must occur exactly once.",
        {
            "path": _PATH,
            "edits": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {"oldText": {"type": "string"}, "newText": {"type": "string"}},
                    "required": ["oldText", "newText"],
                },
            },
        },
        ("path", "edits"),
        edit,
        ("path",),
    ),
    Tool(
        "ls",
        "fs",
        "Ls",
        "List a directory of the workspace; directories end with a slash.",
        {"path": _PATH, "limit": {"type": "number", "description": "Number of entries"}},
        (),
        ls,
        ("path",),
    ),
)
