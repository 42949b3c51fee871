"""The files of the Control UI's folder, listed once: what is not in the list does not exist, whatever a path says."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import anyio

from .control_ui_paths import extension, named_by_content

CHUNK = 64 * 1024
"""Bytes read at a time: one hop to a thread per chunk, and what a reader who stops reading makes us hold."""
PRECOMPRESSED = {".br": "br", ".gz": "gzip"}
"""Content codings by the suffix of a file's compressed twin. Twins are never sent by their own names."""
_COMPRESSIBLE = frozenset({".css", ".html", ".js", ".json", ".svg", ".txt", ".wasm", ".webmanifest"})
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "application/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".map": "application/json; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".gif": "image/gif",
    ".webp": "image/webp",
    ".ico": "image/x-icon",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json; charset=utf-8",
    ".woff2": "font/woff2",
}
"""Upstream's table (`CONTROL_UI_CONTENT_TYPES`); what is not in it is sent as bytes (`application/octet-stream`)."""


@dataclass(frozen=True, slots=True)
class Representation:
    """One form of a file on the disk."""

    path: Path
    size: int

    async def chunks(self) -> AsyncIterator[bytes]:
        """Read the file in a thread, as fast as the client takes it."""
        if self.size <= CHUNK:  # most are: one hop to a thread instead of four
            yield await anyio.to_thread.run_sync(self.path.read_bytes)
            return
        async with await anyio.open_file(self.path, "rb") as file:
            while chunk := await file.read(CHUNK):
                yield chunk


@dataclass(frozen=True, slots=True)
class StaticFile:
    """A file by its name in URLs."""

    name: str
    modified: int
    """Seconds since the epoch."""
    representations: dict[str, Representation] = field(default_factory=dict)
    """By content coding, `identity` always among them."""

    @property
    def content_type(self) -> str:
        """The `Content-Type`, by the extension."""
        return CONTENT_TYPES.get(extension(self.name), "application/octet-stream")


def list_files(root: Path) -> dict[str, StaticFile]:
    """List the regular files below `root` by their names relative to it. Symbolic links that lead out are not listed.

    The folder belongs to one version of the package and is not changed in place, so once is enough.

    Raises
    ------
    OSError
        The folder can't be read.
    """
    real = root.resolve(strict=True)
    found = {path.relative_to(real).as_posix(): (path, status) for path, status in _regular_files(real, real)}
    files: dict[str, StaticFile] = {}
    for name, (path, status) in found.items():
        if extension(name) in PRECOMPRESSED:
            continue
        file = files[name] = StaticFile(name, int(status.st_mtime))
        file.representations["identity"] = Representation(path, status.st_size)
        # Upstream keeps compressed twins of the files with hashed names only.
        if named_by_content(name) and extension(name) in _COMPRESSIBLE:
            for suffix, coding in PRECOMPRESSED.items():
                if (twin := found.get(name + suffix)) is not None:
                    file.representations[coding] = Representation(twin[0], twin[1].st_size)
    return files


def _regular_files(folder: Path, root: Path) -> Iterator[tuple[Path, os.stat_result]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = folder / entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _regular_files(path, root)
            elif entry.is_file() and (not entry.is_symlink() or path.resolve().is_relative_to(root)):
                yield path, entry.stat()
