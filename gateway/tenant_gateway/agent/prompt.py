"""The system prompt: what the agent is told before the conversation (docs/concepts/system-prompt.md)."""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Final

from tenant_gateway.agent.models import Model
from tenant_gateway.agent.runs import Run
from tenant_gateway.workspace.bootstrap import PROMPT_FILES

_MAX_FILE: Final = 20_000
"""Characters of one file; upstream's `agents.defaults.bootstrapMaxChars`."""

_MAX_TOTAL: Final = 60_000
"""Characters of all; upstream's `agents.defaults.bootstrapTotalMaxChars`."""

_MAX_USER_FILE: Final = 4_000
"""Characters of USER.md, which upstream caps apart."""

_OPTIONAL: Final = frozenset({"USER.md", "MEMORY.md", "BOOTSTRAP.md", "TOOLS.md"})


def system_prompt(run: Run, workspace: Path, model: Model) -> str:
    """Return the system prompt of a run."""
    config = run.gateway.config
    sections = [
        "You are a personal assistant running inside OpenClaw.",
        f"## Workspace\nYour working directory is: {workspace}\nTreat it as the workspace for file operations.",
        _runtime(model, config.text("agents.defaults.userTimezone")),
    ]
    if extra := run.options.get("extraSystemPrompt"):
        sections.append(f"## Further instructions\n{extra}")
    per_file = config.number("agents.defaults.bootstrapMaxChars", _MAX_FILE)
    total = config.number("agents.defaults.bootstrapTotalMaxChars", _MAX_TOTAL)
    if files := workspace_files(workspace, per_file, total):
        sections.append("# Project Context\n\nThese files of the workspace are loaded:\n\n" + files)
    return "\n\n".join(sections)


def _runtime(model: Model, zone: str) -> str:
    # The day and not the minute: a prompt that changes with every message could not be cached by the provider.
    today = time.strftime("%A, %Y-%m-%d")
    lines = [f"## Runtime\nModel: {model.ref} | OS: {platform.system()} {platform.machine()}", f"Today: {today}"]
    if zone:
        lines.append(f"Time zone of the user: {zone}")
    return "\n".join(lines)


def workspace_files(workspace: Path, per_file: int, total: int) -> str:
    """Return the prompt files, each cut to its share, a missing one marked unless it is optional."""
    from tenant_gateway.workspace.confine import Outside, Root

    parts: list[str] = []
    left = total
    root = Root(workspace)
    for name in PROMPT_FILES:
        try:
            content = root.read_text(name).strip()
        except (OSError, Outside):
            if name not in _OPTIONAL:
                parts.append(f"## {name}\n[missing]")
            continue
        limit = min(left, _MAX_USER_FILE if name == "USER.md" else per_file)
        if len(content) > limit:
            content = content[:limit] + f"\n[cut: {name} has {len(content)} characters]"
        if content:
            parts.append(f"## {name}\n{content}")
            left = max(0, left - len(content))
    return "\n\n".join(parts)
