"""The commands that the agent has started: their output, their end, and the end of all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import uuid
from contextlib import suppress
from typing import Final

from tenant_gateway.tools.confinement import Spawner, View

_KEPT_OUTPUT: Final = 200_000
"""Bytes of a command's output that are kept, the last ones (upstream's `PI_BASH_MAX_OUTPUT_CHARS`)."""

_MAX_RUNNING: Final = 16
_MAX_FINISHED: Final = 32
"""Finished commands whose output can still be asked for."""

_GRACE: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""


class TooMany(Exception):
    """So many commands run already."""


class InputClosed(Exception):
    """The command reads no more."""


class InputFull(Exception):
    """The command reads too slowly; holds how many bytes were not taken."""


class Command:
    """A command, in a process group of its own so that all it started ends with it."""

    def __init__(self, line: str, process: subprocess.Popen[bytes], session_key: str) -> None:
        self.id = uuid.uuid4().hex[:8]
        self.line = line
        self.session_key = session_key
        self.killed_by = ""
        """Why it was killed: `timeout`, `abort`, `kill`; empty for one that ended by itself."""
        self._process = process
        self._output = bytearray()
        self._dropped = 0
        self._shown = 0
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
        self.done = asyncio.get_running_loop().create_task(self._follow())

    @property
    def code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        return self._process.poll() if self.done.done() else None

    @property
    def pid(self) -> int:
        """The leader of its process group."""
        return self._process.pid

    def output(self) -> str:
        """Return what is kept of the output."""
        text = self._output.decode(errors="replace")
        return f"[{self._dropped} bytes left out]\n{text}" if self._dropped else text

    def news(self) -> str:
        """Return the output since the last call."""
        fresh = max(0, self._dropped + len(self._output) - self._shown)
        self._shown += fresh
        return self._output[max(0, len(self._output) - fresh) :].decode(errors="replace")

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader()
        pipe, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stream), self._process.stdout)
        try:
            while data := await stream.read(65_536):
                self._output += data
                if (excess := len(self._output) - _KEPT_OUTPUT) > 0:
                    del self._output[:excess]
                    self._dropped += excess
            await _ended(self._process)
        finally:
            pipe.close()
            if self._process.stdin is not None:
                self._process.stdin.close()

    async def wait(self, timeout: float) -> bool:
        """Wait for the end; whether it came in time."""
        done, _ = await asyncio.wait([self.done], timeout=timeout)
        return bool(done)

    def write(self, data: str) -> None:
        """Send to its standard input.

        Raises:
            InputClosed, InputFull: see there.
        """
        pipe = self._process.stdin
        if pipe is None or pipe.closed:
            raise InputClosed
        left = data.encode()
        try:
            while left:
                left = left[os.write(pipe.fileno(), left) :]
        except BlockingIOError:
            raise InputFull(len(left)) from None
        except BrokenPipeError:
            raise InputClosed from None

    async def kill(self, reason: str) -> None:
        """End the whole process group, gently first."""
        if self.done.done():
            return
        self.killed_by = self.killed_by or reason
        self._signal(signal.SIGTERM)
        if not await self.wait(_GRACE):
            self._signal(signal.SIGKILL)
            if not await self.wait(_GRACE):
                # Something left the group and holds the output open; nobody waits for that.
                self.done.cancel()
        else:
            self._signal(signal.SIGKILL)  # the leader has ended, what it left behind has not

    def _signal(self, number: int) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)


async def _ended(process: subprocess.Popen[bytes]) -> None:
    loop = asyncio.get_running_loop()
    descriptor = os.pidfd_open(process.pid)
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    process.poll()


class Processes:
    """All commands of this gateway."""

    def __init__(self) -> None:
        self._commands: dict[str, Command] = {}
        self._spawner: Spawner | None = None

    @property
    def running(self) -> int:
        """How many have not ended."""
        return sum(not command.done.done() for command in self._commands.values())

    def all(self) -> list[Command]:
        """Return those that run and the last that ended."""
        return list(self._commands.values())

    def get(self, command_id: str) -> Command | None:
        """Return a command by its id."""
        return self._commands.get(command_id)

    def start(self, line: str, directory: int, environ: dict[str, str], session_key: str, view: View | None) -> Command:
        """Start a command in the directory of a descriptor; `view` is what it reaches.

        Raises:
            TooMany: see the class.
            OSError: the process cannot be started.
        """
        if self.running >= _MAX_RUNNING:
            raise TooMany
        if self._spawner is None or self._spawner.view != view:
            if self._spawner is not None:
                self._spawner.close()
            self._spawner = Spawner(view)
        command = Command(line, self._spawner.start(line, directory, environ), session_key)
        self._commands[command.id] = command
        self._forget()
        return command

    def remove(self, command_id: str) -> None:
        """Forget a command that has ended."""
        command = self._commands.get(command_id)
        if command is not None and command.done.done():
            del self._commands[command_id]

    def _forget(self) -> None:
        finished = [command_id for command_id, command in self._commands.items() if command.done.done()]
        for command_id in finished[:-_MAX_FINISHED]:
            del self._commands[command_id]

    async def stop(self) -> None:
        """End all of them."""
        await asyncio.gather(*(command.kill("shutdown") for command in self._commands.values()))
        if self._spawner is not None:
            self._spawner.close()
