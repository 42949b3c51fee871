"""The workspace files that a new workspace begins with, and that every prompt carries."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

from tenant_gateway.config.document import Config

PROMPT_FILES: Final = ("AGENTS.md", "SOUL.md", "IDENTITY.md", "USER.md", "TOOLS.md", "BOOTSTRAP.md", "MEMORY.md")
"""In the order of the prompt (docs/concepts/system-prompt.md)."""

_SEEDS: Final = {
    "AGENTS.md": """# AGENTS.md

This folder is home. Treat it that way.

- SOUL.md says who you are, USER.md whom you help. Read both before you act.
- `memory/YYYY-MM-DD.md` holds what happened that day, MEMORY.md what should last. What is not written down is forgotten.
- Do not share private things. Ask before anything destructive, or anything that leaves this machine.
- Answer in the language that you are spoken to in, as briefly as the question allows.

## Tools

Notes on this environment: hosts, devices, habits. They are guidance and give no permission.
""",
    "SOUL.md": """# SOUL.md

Be useful, not performative. Have opinions. Be resourceful before you ask. Earn trust by being careful with what is not yours.
""",
    "IDENTITY.md": """# IDENTITY.md

- Name:
- Vibe:
- Emoji:
""",
    "USER.md": """# USER.md

- Name:
- What to call them:
- Time zone:
- Notes:
""",
}


def seed_workspace(workspace: Path, config: Config) -> None:
    """Make the workspace and the files that a new one begins with; what is there stays as it is."""
    fresh = not workspace.exists()
    workspace.mkdir(parents=True, exist_ok=True)
    if not fresh and any(workspace.iterdir()):
        return
    if config.flag("agents.defaults.skipBootstrap", False):
        return
    for name, content in _SEEDS.items():
        with suppress(FileExistsError), (workspace / name).open("x") as file:
            file.write(content)
