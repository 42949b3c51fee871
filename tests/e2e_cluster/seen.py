"""What was seen when something failed, as a table in `tests/artifacts`: docs are written from it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

ARTIFACTS = Path(__file__).parents[1] / "artifacts"

Seen = Callable[[str, str, float], None]
"""Takes the cause, what a client saw, and for how many seconds."""


@contextlib.contextmanager
def table(name: str) -> Iterator[Seen]:
    """Write rows to `NAME.md`; it holds those of the last run."""
    ARTIFACTS.mkdir(exist_ok=True)
    file = ARTIFACTS / f"{name}.md"
    file.write_text("| cause | what a client sees | seconds |\n|---|---|---|\n")

    def seen(cause: str, what: str, seconds: float) -> None:
        row = f"| {cause} | {what} | {seconds:.1f} |"
        print(row)
        with file.open("a") as out:
            out.write(f"{row}\n")

    yield seen
