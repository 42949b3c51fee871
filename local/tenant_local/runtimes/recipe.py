"""How a gateway of one runtime is started: the same for all tenants."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    needs_tmp: bool = False
    """It writes to /tmp whatever TMPDIR says, so it can be confined only where each gateway has a /tmp of its own."""
    grace: float = 30.0
    """Seconds from SIGTERM to SIGKILL."""
    memory_option: bool = False
    """It runs on Node, whose heap must be told how much memory there is."""


class RuntimeMissing(Exception):
    """A runtime is not installed; the text says what to run."""


class Recipes:
    """How each runtime is started; one that is missing is looked for again at each wake, so installing it is enough."""

    def __init__(self, finders: Mapping[str, Callable[[], Recipe]]) -> None:
        self._finders = finders
        self._found: dict[str, Recipe] = {}

    def get(self, runtime: str) -> Recipe:
        """Return how a runtime is started.

        Raises
        ------
        RuntimeMissing
            It is not installed, or of a kind that is not known here.
        """
        found = self._found.get(runtime)
        if found is None:
            if runtime not in self._finders:
                raise RuntimeMissing(f"runtime {runtime!r} is not known here")
            found = self._found[runtime] = self._finders[runtime]()
        return found

    def preloading(self) -> Recipe | None:
        """Return the recipe whose modules spare launchers can import ahead of need, if there is one."""
        for runtime in self._finders:
            try:
                recipe = self.get(runtime)
            except RuntimeMissing:
                continue
            if recipe.preload:
                return recipe
        return None
