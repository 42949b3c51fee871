"""How a gateway of one runtime is started: the same for all tenants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the fleet has to know of a runtime."""

    run: tuple[str, ...]
    """`Plan.run`."""
    env: Mapping[str, str] = field(default_factory=dict)
    """Variables that the runtime itself needs; they win over a template's."""
    preload: tuple[str, ...] = ()
    """Modules that the launcher imports before it is confined; MODULE:FUNCTION calls a function of it too."""
    path: Sequence[str] = ()
    """Folders put before the launcher's sys.path."""
    read: Sequence[Path] = ()
    """Files and folders that it has to see."""
    inherits_socket: bool = False
    """It takes its listening socket as descriptor 3, so it can be dialled before it runs; else it binds its port itself."""
    grace: float = 30.0
    """Seconds from SIGTERM to SIGKILL."""
    memory_option: bool = False
    """It runs on Node, whose heap must be told how much memory there is."""


class RuntimeMissing(Exception):
    """A runtime is not installed; the text says what to run."""
