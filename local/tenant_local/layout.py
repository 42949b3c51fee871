"""Where things lie under the data folder.

master.key              the fleet's secret, of which every tenant's identity secret is made
stage/                  an empty folder, the mount point on which gateways build their own root
tenants/NAME/           0700; nothing of it but the four folders below is visible to the gateway
  uid                   the tenant's uid, as the API server gives one on Kubernetes
  port                  where its gateway listened last; taken again when it is free
  user                  whose data this is (spec.userId)
  gateway.lock          held as long as any process of the gateway lives; tells its PID
  gateway.log           what it prints
  state/                the tenant's volume: OPENCLAW_STATE_DIR, made from the template's folder at the first wake
  config/openclaw.json  rendered by the fleet
  home/  tmp/
"""

from __future__ import annotations

import os
import secrets
import stat
import uuid
from dataclasses import dataclass
from pathlib import Path


class DataError(Exception):
    """The data folder can't be used; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class TenantPaths:
    """The files of one tenant."""

    root: Path

    @property
    def state(self) -> Path:
        """The tenant's volume."""
        return self.root / "state"

    @property
    def config_dir(self) -> Path:
        """The folder of the config, writable for the gateway: upstream keeps its backups of the file beside it."""
        return self.root / "config"

    @property
    def config(self) -> Path:
        """The rendered config."""
        return self.root / "config" / "openclaw.json"

    @property
    def home(self) -> Path:
        """HOME of the gateway and what its agent starts."""
        return self.root / "home"

    @property
    def tmp(self) -> Path:
        """TMPDIR, and where there is a mount namespace /tmp too."""
        return self.root / "tmp"

    @property
    def log(self) -> Path:
        """What the gateway prints."""
        return self.root / "gateway.log"

    @property
    def lock(self) -> Path:
        """Held while a gateway runs on the volume."""
        return self.root / "gateway.lock"

    @property
    def writable(self) -> tuple[Path, ...]:
        """What the gateway may write."""
        return (self.state, self.config_dir, self.home, self.tmp)

    def make(self) -> None:
        """Make the folders that are missing, except the volume."""
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.config_dir, self.home, self.tmp):
            folder.mkdir(mode=0o700, exist_ok=True)

    def claim(self, user_id: str) -> None:
        """Note whose data this is, at the first call, and refuse anybody else's.

        Raises
        ------
        DataError
            A tenant of this name belonged to another user: what he wrote must not become readable for the next one.
        """
        path = self.root / "user"
        write_once(path, user_id.encode())
        if (owner := path.read_text()) != user_id:
            raise DataError(
                f"{self.root} holds the data of user {owner!r}, but the tenant is now user {user_id!r}: "
                "give the tenant another name, or move the folder away"
            )

    def uid(self) -> str:
        """Return the tenant's uid, made at the first call and kept with its data."""
        path = self.root / "uid"
        try:
            return path.read_text().strip()
        except FileNotFoundError:
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_once(path, str(uuid.uuid4()).encode())
            return path.read_text().strip()

    def last_port(self) -> int:
        """Return the port that the tenant's gateway had last, 0 when there was none."""
        try:
            port = int((self.root / "port").read_text())
        except (OSError, ValueError):
            return 0
        # Ports below belong to services of the machine: nothing that this file says may take one of them.
        return port if 1024 <= port < 65536 else 0

    def keep_port(self, port: int) -> None:
        """Remember the port for the next start."""
        if port != self.last_port():
            replace(self.root / "port", str(port).encode())


@dataclass(frozen=True, slots=True)
class DataLayout:
    """The data folder of one machine."""

    root: Path

    def tenant(self, name: str) -> TenantPaths:
        """Return the files of a tenant. Names are DNS labels (tenant_api), so they can't leave the folder."""
        return TenantPaths(self.root / "tenants" / name)

    @property
    def stage(self) -> Path:
        """The mount point on which gateways build their own root."""
        return self.root / "stage"

    def open(self) -> bytes:
        """Make the folder if need be and return the master key, made at the first call.

        Raises
        ------
        DataError
            The folder can't be written, or the key has been tampered with.
        """
        try:
            for folder in (self.root, self.root / "tenants", self.stage):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self.root / "master.key"
            if not path.exists():
                write_once(path, secrets.token_bytes(32))
            key = path.read_bytes()
        except OSError as error:
            raise DataError(f"{self.root}: {error.strerror}: choose another folder with --data") from error
        if len(key) != 32:
            raise DataError(f"{path} holds {len(key)} bytes instead of 32: restore it from a backup, or delete it")
        return key


def write_once(path: Path, content: bytes) -> None:
    """Make a file with this content (mode 0600), on disk before it has its name; an existing one stays as it is."""
    if path.exists():
        return
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)
        except FileExistsError:
            return
        sync_folder(path.parent)
    finally:
        temporary.unlink()


def replace(path: Path, content: bytes) -> None:
    """Put a file in the place of another, so that a reader sees one or the other as a whole (upstream #112864)."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def holds(path: Path, content: bytes) -> bool:
    """Tell whether this is a regular file with exactly this content. The gateway may have put anything in its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(file.fileno())
        return stat.S_ISREG(found.st_mode) and found.st_size == len(content) and file.read(len(content) + 1) == content


def sync_folder(path: Path) -> None:
    """Have what was made or renamed in a folder on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
