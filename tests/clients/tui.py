"""Upstream's terminal UI in a terminal: tmux runs it, types, and reads the screen."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from apt import install
from clients.openclaw_cli import OpenClawCli
from deadlines import eventually

COMMAND_TIMEOUT = 20.0
"""Seconds for tmux to do one thing; it takes milliseconds."""


class Tui:
    """A running `openclaw tui`."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.seen: list[str] = []
        """Each screen that was read."""

    async def tmux(self, *args: str) -> str:
        """Run one tmux command on our own server."""
        process = await asyncio.create_subprocess_exec("tmux", "-L", self._server, *args, stdout=-1, stderr=-1)
        out, err = await asyncio.wait_for(process.communicate(), COMMAND_TIMEOUT)
        assert process.returncode == 0, err.decode()
        return out.decode()

    async def start(self, folder: Path, command: str) -> None:
        """Run a shell command in a new terminal; what it leaves on the screen stays when it ends."""
        await self.tmux(
            "-f",
            os.devnull,
            "start-server",
            ";",
            "set-option",
            "-g",
            "remain-on-exit",
            "on",
            ";",
            "new-session",
            "-d",
            "-s",
            "main",
            "-x",
            "110",
            "-y",
            "40",
            "-c",
            str(folder),
            command,
        )

    async def screen(self) -> str:
        """Return what is on the screen."""
        text = await self.tmux("capture-pane", "-p", "-t", "main")
        if not self.seen or self.seen[-1] != text:
            self.seen.append(text)
        return text

    async def shows(self, words: str, timeout: float) -> None:
        """Wait until these words are on the screen."""
        await self.until(lambda screen: words in screen, timeout, f"the TUI shows {words!r}")

    async def until(self, wanted: Callable[[str], bool], timeout: float, what: str = "the TUI shows it") -> None:
        """Wait until the screen is as wanted."""

        async def probe() -> bool:
            screen = await self.screen()
            assert wanted(screen), screen
            return True

        await eventually(probe, timeout, what)

    async def ended(self, timeout: float) -> None:
        """Wait until the program has ended by itself."""

        async def probe() -> bool:
            return (await self.tmux("list-panes", "-t", "main", "-F", "#{pane_dead}")).strip() == "1"

        await eventually(probe, timeout, "the TUI has ended")

    async def say(self, text: str) -> None:
        """Type a message and press Enter."""
        await self.tmux("send-keys", "-t", "main", "-l", text)
        await self.press("Enter")

    async def press(self, key: str) -> None:
        """Press a key, by tmux's name for it."""
        await self.tmux("send-keys", "-t", "main", key)

    async def keep(self, file: Path) -> None:
        """Write the screen to a file."""
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(await self.screen())


@asynccontextmanager
async def tui(cli: OpenClawCli, *args: str) -> AsyncIterator[Tui]:
    """Run `openclaw tui ARGS` while the block runs, with the URL and token that this client is configured for."""
    if shutil.which("tmux") is None:
        await install("tmux")
    argv, env = cli.program("tui", *args, env={"LANG": "C.UTF-8"})
    one = Tui(f"openclaw-tenancy-{uuid.uuid4().hex[:8]}")
    words = ["env", "-i", *(f"{name}={value}" for name, value in env.items()), "TERM=screen-256color", *argv]
    await one.start(cli.home, shlex.join(words))
    try:
        yield one
    finally:
        await one.tmux("kill-server")
