"""What a person sees of the demo: on a terminal a live table of the tenants below the story, else plain lines."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

STATE_STYLE = {
    "asleep": "blue",
    "waking": "yellow",
    "awake": "green",
    "suspending": "magenta",
    "suspended": "dim",
    "failed": "red",
}
REDRAW_PER_SECOND = 8


@dataclass(slots=True)
class Shown:
    """One tenant's row."""

    runtime: str
    state: str = "?"
    since: float = field(default_factory=time.monotonic)
    connections: int = 0
    note: str = ""


class Display:
    """The story goes up line by line; the table of tenants stays below it."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False, soft_wrap=True)
        self.started = time.monotonic()
        self.tenants: dict[str, Shown] = {}
        self._live: Live | None = None

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Show the table while the block runs, on a terminal."""
        if not self.console.is_terminal:
            yield
            return
        with Live(
            get_renderable=self._table, console=self.console, refresh_per_second=REDRAW_PER_SECOND, transient=True
        ) as live:
            self._live = live
            try:
                yield
            finally:
                self._live = None

    def chapter(self, title: str) -> None:
        """Begin a part of the story."""
        self.console.print()
        self.console.print(Text.assemble((self._clock(), "dim"), (title, "bold")))

    def say(self, text: str, style: str = "") -> None:
        """Tell something that has happened."""
        self.console.print(Text.assemble((self._clock(), "dim"), ("  " + text, style)))

    def good(self, text: str) -> None:
        """Tell something that was checked and is as it should be."""
        self.console.print(Text.assemble((self._clock(), "dim"), ("  ✓ ", "bold green"), text))

    def command(self, text: str) -> None:
        """Show a command as a person would type it."""
        self.console.print(Text.assemble((self._clock(), "dim"), ("  $ ", "bold cyan"), (text, "cyan")))

    def state(self, name: str, state: str, connections: int, note: str = "") -> None:
        """Take over what the fleet says of a tenant; tell it when the state has changed."""
        shown = self.tenants[name]
        shown.connections = connections
        shown.note = note
        if state == shown.state:
            return
        took = time.monotonic() - shown.since
        before, shown.state, shown.since = shown.state, state, time.monotonic()
        if before != "?":
            arrow = Text.assemble(
                (self._clock(), "dim"),
                (f"    {name}: ", ""),
                (before, STATE_STYLE.get(before, "")),
                " → ",
                (state, STATE_STYLE.get(state, "")),
                (f"   after {took:.2f} s {before}", "dim"),
            )
            self.console.print(arrow)

    def summary(self, title: str, rows: Mapping[str, str]) -> None:
        """Print a table of two columns."""
        self.console.print()
        self.console.print(Text(title, "bold"))
        table = Table(box=None, show_header=False, padding=(0, 2))
        for name, value in rows.items():
            table.add_row(name, value)
        self.console.print(table)

    def _clock(self) -> str:
        return f"{time.monotonic() - self.started:6.2f} s "

    def _table(self) -> Group:
        table = Table(
            "tenant", "runtime", "state", "for", "connections", box=None, header_style="dim", padding=(0, 3, 0, 0)
        )
        for name, shown in self.tenants.items():
            table.add_row(
                name,
                shown.runtime,
                Text("● " + shown.state, STATE_STYLE.get(shown.state, "")),
                f"{time.monotonic() - shown.since:5.1f} s",
                str(shown.connections),
            )
        return Group(Text(), table)
