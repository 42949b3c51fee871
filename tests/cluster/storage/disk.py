"""Volumes and snapshots as directories of one reflink file system: a copy shares its blocks until one side writes.

    ROOT/ID                              a volume: what its pods see
    ROOT/.sizes/ID                       how many bytes were asked for; nothing is held to that
    ROOT/.snapshots/ID/content, record   a snapshot: never mounted, so nobody writes to it

Knows no gRPC: its errors carry the name of the code that the CSI spec wants for them. Ids follow from names, so every call
can be made twice. A copy of what is being written to holds each file as of its own moment: unlike a storage's own snapshot.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypedDict

ID_SPACE = uuid.UUID("6f1c1c0e-0000-4000-8000-000000000001")
COPY_SECONDS = 120.0


class DiskError(Exception):
    """What was asked for can't be done; `code` is the gRPC status that says so."""

    code = "INTERNAL"


class Malformed(DiskError):
    """A field that has to be there is empty, or the source is of no kind that can be copied."""

    code = "INVALID_ARGUMENT"


class NotThere(DiskError):
    """No volume or snapshot has this id."""

    code = "NOT_FOUND"


class AlreadyOther(DiskError):
    """There is one of this name, made from something else or of another size."""

    code = "ALREADY_EXISTS"


class TooSmall(DiskError):
    """A copy would be smaller than what it is a copy of."""

    code = "OUT_OF_RANGE"


class Busy(DiskError):
    """Another call for the same name or id is not done yet."""

    code = "ABORTED"


class NoSuchPage(DiskError):
    """The token is not one that was handed out: list from the start."""

    code = "ABORTED"


@dataclass(frozen=True)
class Snapshot:
    """What is known of a snapshot."""

    id: str
    volume: str
    """Id of what it was taken of, which may be gone by now."""
    size: int
    """Bytes that a volume made from it must have at least; 0: unknown."""
    created_ns: int
    """Since the epoch."""


class Source(TypedDict, total=False):
    """What a volume starts as a copy of, by id: one of these, or nothing."""

    volume: str
    snapshot: str


class Disk:
    """The volumes and snapshots under one directory. Any number of threads may call."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sizes = root / ".sizes"
        self._snapshots = root / ".snapshots"
        for directory in (self._sizes, self._snapshots):
            directory.mkdir(exist_ok=True)
        self._lock = threading.Lock()
        self._in_work: set[str] = set()

    def volume(self, id: str) -> Path:
        """A volume's directory."""
        path = self._root / id
        if not _is_id(id) or not path.is_dir():
            raise NotThere(f"there is no volume {id!r}")
        return path

    def create_volume(self, name: str, size: int, source: Source | None = None, *, limit: int = 0) -> str:
        """Make a volume and return its id. `limit`: the most bytes it may have, 0: any."""
        id = id_of("volume", name)
        with self._alone(id):
            if (self._root / id).is_dir():
                there = self._size(id)
                if there and (there < size or 0 < limit < there):
                    raise AlreadyOther(f"volume {name!r} is there with {there} bytes, not {size}")
                return id
            copied, least = self._copied(source or {})
            if 0 < size < least:
                raise TooSmall(f"a copy of {least} bytes does not fit into {size}")
            size = size or least
            (self._sizes / id).write_text(str(size))
            partial = self._root / f".{id}"
            _remove(partial)
            if copied is None:
                partial.mkdir()
                partial.chmod(0o777)
            else:
                _copy(copied, partial)
            partial.rename(self._root / id)
        return id

    def size(self, id: str) -> int:
        """Bytes of a volume as they were asked for; 0: unknown."""
        self.volume(id)
        return self._size(id)

    def delete_volume(self, id: str) -> None:
        """Remove a volume, if it is there; its snapshots stay."""
        if not _is_id(id):
            return
        with self._alone(id):
            _remove(self._root / id)
            (self._sizes / id).unlink(missing_ok=True)

    def create_snapshot(self, name: str, volume: str) -> Snapshot:
        """Copy a volume as it is now; the same name again returns the same snapshot."""
        id = id_of("snapshot", name)
        with self._alone(id):
            if (self._snapshots / id).is_dir():
                there = self.snapshot(id)
                if there.volume != volume:
                    raise AlreadyOther(f"snapshot {name!r} is there, of volume {there.volume} instead of {volume}")
                return there
            source = self.volume(volume)
            made = Snapshot(id, volume, self._size(volume), time.time_ns())
            partial = self._snapshots / f".{id}"
            _remove(partial)
            partial.mkdir()
            _copy(source, partial / "content")
            (partial / "record").write_text(json.dumps(asdict(made)))
            partial.rename(self._snapshots / id)
        return made

    def snapshot(self, id: str) -> Snapshot:
        """What is known of a snapshot."""
        record = self._snapshots / id / "record"
        if not _is_id(id) or not record.exists():
            raise NotThere(f"there is no snapshot {id!r}")
        return Snapshot(**json.loads(record.read_text()))

    def delete_snapshot(self, id: str) -> None:
        """Remove a snapshot, if it is there; volumes made from it stay."""
        if not _is_id(id):
            return
        with self._alone(id):
            # Out of sight first: half of it must never be found as a snapshot.
            partial = self._snapshots / f".{id}"
            _remove(partial)
            if (self._snapshots / id).is_dir():
                (self._snapshots / id).rename(partial)
                _remove(partial)

    def snapshots(self, volume: str = "", id: str = "") -> Iterator[Snapshot]:
        """All snapshots, or those of a volume, or the one of an id, in a fixed order."""
        for path in sorted(self._snapshots.iterdir()):
            if _is_id(path.name) and id in ("", path.name):
                found = self.snapshot(path.name)
                if volume in ("", found.volume):
                    yield found

    def _copied(self, source: Source) -> tuple[Path | None, int]:
        """The directory that is copied, and how many bytes the copy must have at least."""
        if "volume" in source:
            return self.volume(source["volume"]), self._size(source["volume"])
        if "snapshot" in source:
            found = self.snapshot(source["snapshot"])
            return self._snapshots / found.id / "content", found.size
        return None, 0

    def _size(self, id: str) -> int:
        file = self._sizes / id
        return int(file.read_text()) if file.exists() else 0  # a volume from before sizes were kept

    @contextmanager
    def _alone(self, id: str) -> Iterator[None]:
        with self._lock:
            if id in self._in_work:
                raise Busy(f"another call is at work on {id}")
            self._in_work.add(id)
        try:
            yield
        finally:
            with self._lock:
                self._in_work.discard(id)


def id_of(kind: str, name: str) -> str:
    """The id of what has this name. Volumes had theirs before there was anything else, and keep it."""
    if not name:
        raise Malformed(f"a {kind} needs a name")
    return str(uuid.uuid5(ID_SPACE, name if kind == "volume" else f"{kind}/{name}"))


def page(items: list[Snapshot], start: str, most: int) -> tuple[list[Snapshot], str]:
    """The items from a token on, at most `most` (0: all), and the token of what follows, "" at the end."""
    if most < 0:
        raise Malformed("max_entries is negative")
    if start and not (start.isascii() and start.isdigit() and int(start) <= len(items)):
        raise NoSuchPage(f"no page starts at {start!r}")
    first = int(start or 0)
    end = first + most if most else len(items)
    return items[first:end], str(end) if end < len(items) else ""


def _is_id(text: str) -> bool:
    """Whether it is an id of ours, and so the name of one directory and nothing else."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _copy(source: Path, target: Path) -> None:
    done = subprocess.run(
        ["cp", "-a", "--reflink=auto", source, target],
        capture_output=True,
        text=True,
        timeout=COPY_SECONDS,
        check=False,
    )
    if done.returncode:
        raise DiskError(f"the copy failed: {done.stderr.strip()[:500]}")


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
