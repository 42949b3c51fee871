"""Slash commands in a chat: answered by the gateway itself, the model does not see them (docs/tools/slash-commands.md)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

import msgspec

from tenant_gateway.agent.models import UnknownModel, all_models, find_model
from tenant_gateway.agent.thinking import thinking_levels
from tenant_gateway.storage.sessions import Session

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


class Command(msgspec.Struct, frozen=True):
    """A command and the function that answers it; the function returns what the chat shows, empty for nothing."""

    name: str
    description: str
    category: str
    run: Callable[[Gateway, Session, str], Awaitable[str]]
    aliases: tuple[str, ...] = ()
    argument: str | None = None


def parse(message: str) -> tuple[Command, str] | None:
    """Return the command that a message is, with its argument; None for an ordinary message."""
    text = message.strip()
    if not text.startswith("/"):
        return None
    word, _, argument = text[1:].partition(" ")
    name = word.rstrip(":").lower()
    for command in COMMANDS.values():
        if name == command.name or name in command.aliases:
            argument = argument.strip()
            return None if argument and command.argument is None else (command, argument)
    return None


async def _help(gateway: Gateway, session: Session, argument: str) -> str:
    lines = [f"/{command.name} - {command.description}" for command in COMMANDS.values()]
    return "\n".join(["Commands:", *lines])


async def _status(gateway: Gateway, session: Session, argument: str) -> str:
    from tenant_gateway.methods.session_rows import session_row

    row = session_row(gateway, session)
    used, window = row["totalTokens"], row["contextTokens"]
    return "\n".join(
        [
            f"Session: {session.key}",
            f"Model: {row['modelProvider']}/{row['model']}",
            f"Context: {used} of {window} tokens",
            f"Thinking: {session.settings.get('thinkingLevel', 'default')}",
            f"Queue: {row['effectiveQueueMode']}",
            "Runtime: native",
        ]
    )


async def _new(gateway: Gateway, session: Session, argument: str) -> str:
    gateway.sessions.reset(session)
    gateway.tell_session(session.key, "reset")
    return ""


async def _compact(gateway: Gateway, session: Session, argument: str) -> str:
    from tenant_gateway.agent.compaction import NothingToCompact, compact_session
    from tenant_gateway.providers.answer import ProviderError

    try:
        await compact_session(gateway, session, keep=0)
    except NothingToCompact:
        return "Nothing to compact."
    except ProviderError as error:
        return f"Compaction failed: {error.shown}"
    return "Compacted the conversation."


async def _model(gateway: Gateway, session: Session, argument: str) -> str:
    if not argument or argument in ("list", "status"):
        return "\n".join(["Models:", *(model.ref for model in all_models(gateway.config))])
    if argument in ("default", "reset"):
        session.settings.pop("model", None)
        chosen = "the default model"
    else:
        try:
            chosen = session.settings["model"] = find_model(gateway.config, argument).ref
        except UnknownModel as error:
            return str(error)
    _save(gateway, session)
    return f"Model set to {chosen}."


async def _think(gateway: Gateway, session: Session, argument: str) -> str:
    from tenant_gateway.methods.session_rows import session_model

    levels = thinking_levels(session_model(gateway, session))
    level = argument.lower()
    if not level:
        return f"Thinking level: {session.settings.get('thinkingLevel', 'default')}. Levels: {', '.join(levels)}."
    if level not in levels:
        return f"Levels of this model: {', '.join(levels)}."
    session.settings["thinkingLevel"] = level
    _save(gateway, session)
    return f"Thinking level set to {level}."


async def _queue(gateway: Gateway, session: Session, argument: str) -> str:
    mode = argument.lower()
    if mode in ("default", "reset"):
        session.settings.pop("queueMode", None)
    elif mode in ("steer", "followup", "collect", "interrupt"):
        session.settings["queueMode"] = mode
    else:
        return "Modes: steer, followup, collect, interrupt, default."
    _save(gateway, session)
    return f"Queue mode set to {mode}."


async def _name(gateway: Gateway, session: Session, argument: str) -> str:
    if not argument:
        return f"This session is called {session.settings.get('label', session.key)}."
    session.settings["label"] = argument[:512]
    _save(gateway, session)
    return f"This session is now called {session.settings['label']}."


async def _whoami(gateway: Gateway, session: Session, argument: str) -> str:
    return f"You are the owner of this gateway; this is {session.key}."


def _save(gateway: Gateway, session: Session) -> None:
    gateway.sessions.touch(session)
    gateway.sessions.save(session)
    gateway.tell_session(session.key, "patch")


_ALL: Final = (
    Command("help", "Show available commands.", "status", _help, ("commands",)),
    Command("status", "Show the status of this session.", "status", _status),
    Command("whoami", "Show who you are to this gateway.", "status", _whoami, ("id",)),
    Command("new", "Start a new conversation.", "session", _new, ("reset", "clear")),
    Command("name", "Name this session.", "session", _name, argument="name"),
    Command("compact", "Summarize the conversation so far.", "session", _compact, argument="instructions"),
    Command("model", "Show the models, or choose one.", "options", _model, ("models",), "model"),
    Command("think", "Set the thinking level.", "options", _think, ("thinking", "t"), "level"),
    Command("queue", "Say what a message does while a run is under way.", "options", _queue, argument="mode"),
)

COMMANDS: Final = {command.name: command for command in _ALL}
"""By name. `/stop` is no command here: `chat.send` aborts at once instead of queueing it."""
