"""Tokens of tenants in YAML files: one made and its hash written down, or one taken out. The file is replaced at a stroke."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tenant_api.documents import MAX_FILE_BYTES
from tenant_api.load import yaml_files
from tenant_api.names import MAX_LABEL, is_dns_label, suggest_dns_label
from tenant_api.token_edit import TokenEditError, TokenEntry, has_tenant, with_token, without_token
from tenant_api.tokens import new_token, token_hex


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was just made. The only time that anybody sees it."""

    token: str
    file: Path
    """File that holds its hash now."""

    def __repr__(self) -> str:
        return f"IssuedToken(file={self.file!r})"


def issue_token(root: Path, tenant: str, name: str, expires_at: datetime | None = None) -> IssuedToken:
    """Make a token for a tenant in a directory of YAML files (or one file) and write its hash down.

    Parameters
    ----------
    name
        What the token is for, a DNS-1123 label, e.g. "phone".
    expires_at
        When it stops working, with time zone. None: never.

    Raises
    ------
    TokenEditError
        The tenant is not there, has a token of this name, or its file can't be edited; nothing was changed.
    """
    if not is_dns_label(name):
        raise TokenEditError(
            f"{name!r} is no name for a token", f"write {suggest_dns_label(name)!r}, at most {MAX_LABEL}"
        )
    if expires_at is not None and expires_at.tzinfo is None:
        raise TokenEditError("the time of expiry has no time zone", "write e.g. 2030-01-31T12:00:00Z")
    token = new_token()
    entry = TokenEntry(name, token_hex(token), expires_at)
    return IssuedToken(token, _edit(root, tenant, lambda text: with_token(text, tenant, entry)))


def revoke_token(root: Path, tenant: str, name: str) -> Path:
    """Take a token out of a tenant's file; return the file.

    Raises
    ------
    TokenEditError
        Tenant or token is not there, or the file can't be edited; nothing was changed.
    """
    return _edit(root, tenant, lambda text: without_token(text, tenant, name))


def _edit(root: Path, tenant: str, edit: Callable[[str], str]) -> Path:
    try:
        for file in yaml_files(root):
            text = _read(file)
            if text is not None and has_tenant(text, tenant):
                _replace(file, text, edit(text))
                return file
    except OSError as error:
        raise TokenEditError(f"{error.filename or root}: {error.strerror}", "check owner and mode") from error
    raise TokenEditError(f"there is no tenant {tenant!r} in {root}", "see `openclaw-tenancy tenants` for their names")


def _read(file: Path) -> str | None:
    if not file.is_file() or file.stat().st_size > MAX_FILE_BYTES:
        return None
    try:
        # Not universal newlines: what is CRLF stays CRLF.
        return file.read_bytes().decode("utf-8")
    except (UnicodeDecodeError, FileNotFoundError):
        return None


def _replace(file: Path, before: str, after: str) -> None:
    """Replace a file's text in one step, unless somebody else has changed it; keep mode and, where allowed, owner."""
    target = file.resolve()  # a link stays a link
    status = target.stat()
    # The dot keeps the loader and its watcher from taking it for one of theirs.
    draft = target.with_name(f".{secrets.token_hex(8)}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(after.encode("utf-8"))
            stream.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(descriptor, status.st_uid, status.st_gid)
            os.fchmod(descriptor, status.st_mode & 0o7777)
            os.fsync(descriptor)
        if target.read_bytes() != before.encode("utf-8"):
            raise TokenEditError(f"{file} was changed meanwhile", "try again")
        draft.replace(target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    directory = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
