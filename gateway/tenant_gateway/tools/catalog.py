"""The tools that a model is offered: all of them, less what `tools.profile`, `tools.allow` and `tools.deny` take away."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from tenant_gateway.config.document import Config
    from tenant_gateway.tools.base import Tool

GROUPS: Final = {"fs": "Files", "runtime": "Runtime", "sessions": "Sessions", "automation": "Automation"}

_PROFILES: Final = {
    "minimal": (),
    "coding": ("group:fs", "group:runtime", "group:sessions"),
    "messaging": ("group:sessions",),
}
"""What upstream's profiles (docs/gateway/config-tools.md) leave of the tools there are here; `full` leaves all."""


def all_tools() -> tuple[Tool, ...]:
    """Return every tool there is."""
    from tenant_gateway.tools import cron, exec, files, search, sessions

    return (*files.TOOLS, *search.TOOLS, *exec.TOOLS, *sessions.TOOLS, *cron.TOOLS)


def enabled_tools(config: Config) -> dict[str, Tool]:
    """Return the tools that the configuration leaves, by name."""
    tools = config.table("tools")
    profile = _PROFILES.get(str(tools.get("profile")))
    allow = tools.get("allow")
    deny = tools.get("deny") or []
    enabled = {}
    for tool in all_tools():
        allowed = profile is None or _named(tool, profile)
        if isinstance(allow, list) and allow:
            allowed = _named(tool, allow)
        elif _named(tool, tools.get("alsoAllow") or []):
            allowed = True
        if allowed and not _named(tool, deny):
            enabled[tool.name] = tool
    return enabled


def _named(tool: Tool, patterns: Any) -> bool:
    """Whether a list names the tool: by name, by `group:…`, by a pattern with stars; upper case does not matter."""
    if not isinstance(patterns, list | tuple):
        return False
    for pattern in patterns:
        lowered = str(pattern).lower()
        if lowered == f"group:{tool.group}" or fnmatch.fnmatchcase(tool.name, lowered):
            return True
    return False
