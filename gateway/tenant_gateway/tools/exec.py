"""`exec` and `process`: commands, in the workspace."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Final

from tenant_gateway.tools.base import Arguments, Result, Tool, ToolContext, ToolError, cut, flag, number, text
from tenant_gateway.tools.confinement import view_of
from tenant_gateway.tools.processes import Command, InputClosed, InputFull, TooMany
from tenant_gateway.workspace.confine import Outside

_DEFAULT_TIMEOUT: Final = 1800
"""Seconds; upstream's `tools.exec.timeoutSec`."""

_DEFAULT_YIELD_MS: Final = 10_000
"""Milliseconds after which a command goes on in the background; upstream's `tools.exec.backgroundMs`."""

_PASSED: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SHELL")
"""The environment of the gateway holds provider keys, so a command gets only what it needs to work."""


def command_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command."""
    passed = {name: environ[name] for name in _PASSED if name in environ}
    return {"PATH": os.defpath, "TERM": "dumb", **passed, "OPENCLAW_SHELL": "exec"}


async def exec_(context: ToolContext, arguments: Arguments) -> Result:
    """Run a command; one that takes long goes on in the background."""
    line = text(arguments, "command")
    config = context.gateway.config
    timeout = number(arguments, "timeout", config.number("tools.exec.timeoutSec", _DEFAULT_TIMEOUT), 1, 86_400)
    patience = number(arguments, "yieldMs", config.number("tools.exec.backgroundMs", _DEFAULT_YIELD_MS), 0) / 1000
    if flag(arguments, "background"):
        patience = 0.0
    try:
        directory = context.root.open(text(arguments, "workdir", "."), os.O_RDONLY | os.O_DIRECTORY)
    except Outside as error:
        raise ToolError(str(error)) from None
    except OSError as error:
        raise ToolError(f"{error.strerror}: {error.filename}") from None
    try:
        environ = command_environ(context.gateway.settings.environ)
        view = view_of(config, context.gateway.settings)
        command = context.gateway.processes.start(line, directory, environ, context.session_key, view)
    except TooMany:
        raise ToolError("too many commands are running; end some with the process tool") from None
    except OSError as error:
        raise ToolError(f"the command cannot be started: {error.strerror}") from None
    finally:
        os.close(directory)
    try:
        if await command.wait(min(patience, timeout)):
            return _ended(context, command)
        if patience >= timeout:
            await command.kill("timeout")
            return _ended(context, command)
    except asyncio.CancelledError:
        await asyncio.shield(command.kill("abort"))
        raise
    loop = asyncio.get_running_loop()
    deadline = loop.call_later(timeout - patience, lambda: loop.create_task(command.kill("timeout")))
    command.done.add_done_callback(lambda _: deadline.cancel())
    news = cut(command.news())
    shown = f"{news}\n" if news else ""
    return Result(
        f"{shown}Command still running (session {command.id}, pid {command.pid}). Use process to follow or end it.",
        {"status": "running", "sessionId": command.id, "pid": command.pid},
    )


def _ended(context: ToolContext, command: Command) -> Result:
    context.gateway.processes.remove(command.id)
    output = cut(command.output().rstrip("\n"))
    if command.killed_by:
        raise ToolError(f"{output}\n\nCommand was ended: {command.killed_by}".lstrip())
    if command.code:
        raise ToolError(f"{output}\n\nCommand exited with code {command.code}".lstrip())
    return Result(output or "(no output)", {"status": "completed", "exitCode": command.code})


async def process(context: ToolContext, arguments: Arguments) -> Result:
    """Follow, feed and end commands in the background."""
    action = text(arguments, "action")
    processes = context.gateway.processes
    if action == "list":
        lines = [f"{command.id} {_state(command)} {command.line[:120]}" for command in processes.all()]
        return Result("\n".join(lines) or "No commands")
    command_id = text(arguments, "sessionId")
    command = processes.get(command_id)
    if command is None:
        raise ToolError(f"no command with session {command_id}")
    if action == "poll":
        await command.wait(number(arguments, "timeout", 0, 0, 60_000) / 1000)
        return Result(f"{cut(command.news())}\n[{_state(command)}]".lstrip())
    if action == "log":
        return Result(cut(command.output()) or "(no output)")
    if action == "write":
        try:
            command.write(text(arguments, "data"))
        except InputClosed:
            raise ToolError("the command takes no input any more") from None
        except InputFull as full:
            raise ToolError(f"the command does not read: the last {full.args[0]} bytes were not sent") from None
        return Result("Written")
    if action == "kill":
        await command.kill("kill")
        return Result(f"Ended {command_id}")
    if action == "clear":
        processes.remove(command_id)
        return Result(f"Forgot {command_id}")
    raise ToolError(f"unknown action {action!r}")


def _state(command: Command) -> str:
    if command.code is None:
        return "running"
    return command.killed_by or f"exited with code {command.code}"


TOOLS: Final = (
    Tool(
        "exec",
        "runtime",
        "Exec",
        "Run a shell command in the workspace. Long commands go on in the background and are followed with process.",
        {
            "command": {"type": "string", "description": "Shell command"},
            "workdir": {"type": "string", "description": "Directory in the workspace"},
            "timeout": {"type": "number", "description": "Seconds after which it is ended"},
            "yieldMs": {"type": "number", "description": "Milliseconds to wait before it goes on in the background"},
            "background": {"type": "boolean", "description": "Do not wait at all"},
        },
        ("command",),
        exec_,
        ("command",),
    ),
    Tool(
        "process",
        "runtime",
        "Process",
        "List, follow, feed or end commands that run in the background.",
        {
            "action": {"type": "string", "enum": ["list", "poll", "log", "write", "kill", "clear"]},
            "sessionId": {"type": "string", "description": "Session of the command"},
            "timeout": {"type": "number", "description": "Milliseconds to wait for its end (poll)"},
            "data": {"type": "string", "description": "What to send to its standard input (write)"},
        },
        ("action",),
        process,
        ("action",),
    ),
)
