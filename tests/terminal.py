"""The terminal, for fixtures that take long the first time; pytest captures what tests print."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest


def terminal(config: pytest.Config) -> tuple[Callable[[str], None], Callable[[], AbstractContextManager[None]]]:
    """Return what writes a line, and what suspends the capture: lines are seen at once inside of it, not after the test."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    capture = config.pluginmanager.get_plugin("capturemanager")
    assert reporter is not None and capture is not None, "they are there unless -p no:... takes them away"
    return reporter.write_line, capture.global_and_fixture_disabled
