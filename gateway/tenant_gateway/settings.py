"""What a gateway process is told by its environment."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from tenant_gateway.config.document import Config

UPSTREAM_VERSION: Final = "2026.9.6"
"""The version of OpenClaw whose protocol and shapes this runtime follows; clients compare it with their own."""

DEFAULT_PORT: Final = 18789

INHERITED_SOCKET: Final = 3
"""First file descriptor of the socket activation protocol (sd_listen_fds)."""


class Settings(msgspec.Struct, frozen=True):
    """Paths and secrets from the environment."""

    state_dir: Path
    config_path: Path
    environ: Mapping[str, str]
    listen_fd: int | None

    @property
    def database(self) -> Path:
        """The tenant's one SQLite file."""
        return self.state_dir / "tenant-gateway.sqlite"

    @property
    def log_path(self) -> Path:
        """The log that `logs.tail` shows."""
        return self.state_dir / "logs" / "gateway.log"

    def workspace(self, config: Config) -> Path:
        """The agent's working directory: `agents.defaults.workspace`, `OPENCLAW_WORKSPACE_DIR`, else in the state directory."""
        configured = self.environ.get("OPENCLAW_WORKSPACE_DIR") or config.text("agents.defaults.workspace")
        return self.state_dir / Path(configured).expanduser() if configured else self.state_dir / "workspace"


def read_settings(environ: Mapping[str, str], pid: int) -> Settings:
    """Read the environment; `LISTEN_PID`, when set, must be ours, as sd_listen_fds has it."""
    state = environ.get("OPENCLAW_STATE_DIR")
    state_dir = Path(state).expanduser() if state else Path.home() / ".openclaw"
    config = environ.get("OPENCLAW_CONFIG_PATH")
    listens = environ.get("LISTEN_FDS", "0") not in ("", "0") and environ.get("LISTEN_PID", str(pid)) == str(pid)
    return Settings(
        state_dir=state_dir.absolute(),
        config_path=Path(config).expanduser().absolute() if config else state_dir.absolute() / "openclaw.json",
        environ=environ,
        listen_fd=INHERITED_SOCKET if listens else None,
    )
