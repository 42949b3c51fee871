"""`find` and `grep`: files of the workspace by name and by content."""

from __future__ import annotations

import fnmatch
import os
import re
import time
from collections.abc import Iterator
from typing import Final

from tenant_gateway.tools.base import Arguments, Result, Tool, ToolContext, ToolError, cut, flag, number, text
from tenant_gateway.tools.files import in_thread

_SKIPPED: Final = frozenset({".git", "node_modules", "__pycache__", ".venv"})
_MAX_RESULTS: Final = 1000
_MAX_FILE: Final = 2 * 1024 * 1024
_MAX_LINE: Final = 500
_BUDGET: Final = 20.0
"""Seconds of one search; what was found by then is shown."""


def _walk(context: ToolContext, path: str, deadline: float) -> Iterator[tuple[str, str, int]]:
    """Yield path, name and directory descriptor of each file; `fwalk` opens every directory below its parent's descriptor."""
    top = context.root.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for directory, directories, files, descriptor in os.fwalk(".", dir_fd=top, follow_symlinks=False):
            directories[:] = sorted(name for name in directories if name not in _SKIPPED)
            prefix = directory.removeprefix(".").lstrip("/")
            for name in sorted(files):
                yield (f"{prefix}/{name}" if prefix else name), name, descriptor
            if time.monotonic() > deadline:
                return
    finally:
        os.close(top)


def _matches(pattern: str, path: str, name: str) -> bool:
    if "/" not in pattern:
        return fnmatch.fnmatchcase(name, pattern)
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern.removeprefix("**/"))


@in_thread
def find(context: ToolContext, arguments: Arguments) -> Result:
    """Find files by name."""
    pattern, path = text(arguments, "pattern"), text(arguments, "path", ".")
    limit = number(arguments, "limit", _MAX_RESULTS, 1, _MAX_RESULTS)
    found: list[str] = []
    for relative, name, _ in _walk(context, path, time.monotonic() + _BUDGET):
        if _matches(pattern, relative, name):
            found.append(relative)
            if len(found) == limit:
                found.append(f"[stopped after {limit} results]")
                break
    return Result(cut("\n".join(found)) or "No files found")


@in_thread
def grep(context: ToolContext, arguments: Arguments) -> Result:
    """Find lines by a regular expression or, with `literal`, by their text."""
    pattern, path = text(arguments, "pattern"), text(arguments, "path", ".")
    glob = text(arguments, "glob", "*")
    limit = number(arguments, "limit", 100, 1, _MAX_RESULTS)
    source = re.escape(pattern) if flag(arguments, "literal") else pattern
    try:
        expression = re.compile(source, re.IGNORECASE if flag(arguments, "ignoreCase") else 0)
    except re.error as error:
        raise ToolError(f"not a regular expression: {error}") from None
    found: list[str] = []
    deadline = time.monotonic() + _BUDGET
    for relative, name, directory in _walk(context, path, deadline):
        if not _matches(glob, relative, name):
            continue
        for number_, line in _lines(directory, name):
            if time.monotonic() > deadline:
                break
            if expression.search(line[:_MAX_LINE]):
                found.append(f"{relative}:{number_}: {line[:_MAX_LINE]}")
                if len(found) == limit:
                    return Result(cut("\n".join([*found, f"[stopped after {limit} results]"])))
    return Result(cut("\n".join(found)) or "No matches found")


def _lines(directory: int, name: str) -> Iterator[tuple[int, str]]:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=directory)
    except OSError:
        return  # a symbolic link, gone, or not ours to read
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(_MAX_FILE)
        except OSError:
            return
    if b"\0" not in data[:8192]:
        yield from enumerate(data.decode(errors="replace").split("\n"), 1)


TOOLS: Final = (
    Tool(
        "find",
        "fs",
        "Find",
        "Find files of the workspace by a glob pattern such as *.md or notes/**/*.txt.",
        {
            "pattern": {"type": "string", "description": "Glob pattern"},
            "path": {"type": "string", "description": "Directory to search, default the workspace"},
            "limit": {"type": "number", "description": "Number of results"},
        },
        ("pattern",),
        find,
        ("pattern",),
    ),
    Tool(
        "grep",
        "fs",
        "Grep",
        "Search the content of files of the workspace by a regular expression; gives path, line number and line.",
        {
            "pattern": {"type": "string", "description": "Regular expression, or text with literal"},
            "path": {"type": "string", "description": "Directory to search, default the workspace"},
            "glob": {"type": "string", "description": "Only files whose name matches, such as *.py"},
            "ignoreCase": {"type": "boolean"},
            "literal": {"type": "boolean"},
            "limit": {"type": "number", "description": "Number of lines"},
        },
        ("pattern",),
        grep,
        ("pattern",),
    ),
)
