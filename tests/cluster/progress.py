"""Tells what is being done and how long it took."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Say = Callable[[str], None]


def to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Lines of `seconds since the start, what`; a step that takes long is named when it begins."""

    def __init__(self, say: Say = to_stderr) -> None:
        self._say = say
        self._began = time.monotonic()

    def note(self, text: str) -> None:
        self._say(f"{time.monotonic() - self._began:7.2f} s  {text}")

    @contextmanager
    def step(self, text: str, announce: bool = False) -> Iterator[None]:
        """Name a step at its end, with its seconds; also at its start if it takes minutes."""
        if announce:
            self.note(f"{text} ...")
        began = time.monotonic()
        yield
        self.note(f"{text} ({time.monotonic() - began:.1f} s)")
