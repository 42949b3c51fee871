"""A tenant's volume of the native runtime, while no gateway runs on it."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import stat
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tenant_gateway.storage.database import SchemaTooNew, open_database, transaction
from tenant_gateway.storage.sessions import Session, SessionStore
from tenant_gateway.storage.transcripts import Entry, TranscriptStore

from .convert import Converted

DATABASE = "tenant-gateway.sqlite"
LOCK = "tenant-gateway.lock"
REPLACED_SUFFIX = ".before-import"


class InUse(Exception):
    """A gateway runs on the volume."""


class NotNative(Exception):
    """The volume holds no database of the native gateway, or not one that this version can read; says which."""


@contextmanager
def owned(state: Path) -> Iterator[None]:
    """Hold the volume as a gateway does, so that none starts on it meanwhile.

    Raises
    ------
    InUse
        One does already.
    """
    descriptor = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse from None
        yield
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Taken:
    """What an import did."""

    sessions: int = 0
    messages: int = 0
    files: int = 0
    kept: list[str] | None = None
    """Sessions of the tenant that have messages of their own and stayed as they are."""


def add_sessions(state: Path, found: list[Converted]) -> Taken:
    """Write sessions into the tenant's database, all or none. One that has messages there already stays as it is.

    Raises
    ------
    NotNative
        See there.
    """
    taken = Taken(kept=[])
    assert taken.kept is not None
    try:
        with closing(open_database(state / DATABASE)) as connection:
            sessions, transcripts = SessionStore(connection), TranscriptStore(connection)
            with transaction(connection):
                for one in found:
                    here = sessions.get(one.session.key)
                    known = transcripts.count(one.session.session_id)
                    if known or (here is not None and transcripts.count(here.session_id)):
                        taken.kept.append(one.session.key)
                        continue
                    sessions.save(one.session)
                    for entry in one.entries:
                        _restore(transcripts, entry)
                    taken.sessions += 1
                    taken.messages += len(one.entries)
    except (sqlite3.Error, SchemaTooNew) as error:
        raise NotNative(f"{state / DATABASE}: {error}") from error
    return taken


def _restore(transcripts: TranscriptStore, entry: Entry) -> None:
    try:
        transcripts.restore(entry)
    except sqlite3.IntegrityError:
        # A fork of a session begins with the same messages under the same ids, which are unique here.
        transcripts.restore(msgspec.structs.replace(entry, id=str(uuid.uuid4()), idempotency_key=None))


def read_sessions(state: Path) -> Iterator[tuple[Session, list[Entry]]]:
    """Yield all sessions with their transcripts, whether a gateway runs or not.

    Raises
    ------
    NotNative
        See there.
    """
    path = state / DATABASE
    if not path.is_file():
        raise NotNative(f"{state} has no {DATABASE}: the tenant's runtime is not native, or it never ran")
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=5.0)) as connection:
            transcripts = TranscriptStore(connection)
            for session in SessionStore(connection).all():
                yield session, list(transcripts.since(session.session_id, 0))
    except sqlite3.Error as error:
        raise NotNative(f"{path}: {error}") from error


def copy_workspace(source: Path, target: Path) -> int:
    """Copy the agent's files; one that is there with another content is kept beside the new one. Return how many came.

    Symbolic links stay links and are not followed. Sockets, pipes and devices are passed over.
    """
    copied = 0
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            mode = entry.stat(follow_symlinks=False).st_mode
            path, new = Path(entry.path), target / entry.name
            if stat.S_ISDIR(mode):
                if new.is_symlink() or (new.exists() and not new.is_dir()):
                    _put_aside(new)
                copied += copy_workspace(path, new)
            elif stat.S_ISREG(mode) or stat.S_ISLNK(mode):
                copied += _copy_file(path, new, link=stat.S_ISLNK(mode))
    return copied


def _copy_file(path: Path, new: Path, *, link: bool) -> int:
    if new.is_symlink() or new.exists():
        if link and new.is_symlink() and new.readlink() == path.readlink():
            return 0
        if not link and not new.is_symlink() and new.is_file() and new.read_bytes() == path.read_bytes():
            return 0
        _put_aside(new)
    shutil.copy2(path, new, follow_symlinks=False)
    return 1


def _put_aside(path: Path) -> None:
    number = 1
    while os.path.lexists(kept := path.with_name(f"{path.name}{REPLACED_SUFFIX}{f'-{number}' if number > 1 else ''}")):
        number += 1
    path.rename(kept)
