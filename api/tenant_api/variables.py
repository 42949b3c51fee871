"""Settings from environment variables, as operator and router read them: `OPENCLAW_TENANCY_NAME`, with clear refusals."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tenant_api.durations import parse_duration
from tenant_api.identity import MIN_MASTER_KEY

PREFIX: Final = "OPENCLAW_TENANCY_"
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class SettingsError(Exception):
    """A variable is missing or wrong; the text names it and says what to write."""


class Variables:
    """The variables with our prefix. Every method raises `SettingsError` for what it can't read."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        """Return a variable, or the default where it is not set or empty."""
        return self._environ.get(PREFIX + name) or default

    def items(self, name: str, default: str = "") -> list[str]:
        """Return a comma separated list, without what is empty in it."""
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def namespaces(self) -> tuple[str, ...]:
        """Return NAMESPACES, at least one."""
        found = tuple(dict.fromkeys(self.items("NAMESPACES")))
        if not found:
            raise SettingsError(f"{PREFIX}NAMESPACES is not set: name the namespaces of the tenants, comma separated")
        return found

    def log_level(self) -> str:
        """Return LOG_LEVEL."""
        level = self.text("LOG_LEVEL", "INFO").upper()
        if level not in LEVELS:
            raise SettingsError(f"{PREFIX}LOG_LEVEL is {level!r}: write one of {', '.join(LEVELS)}")
        return level

    def master_key(self) -> bytes:
        """Return what is in MASTER_KEY_FILE."""
        name = f"{PREFIX}MASTER_KEY_FILE"
        file = self._environ.get(name)
        if not file:
            raise SettingsError(f"{name} is not set: name the file with the master key of identities")
        try:
            key = Path(file).read_bytes()
        except OSError as error:
            raise SettingsError(f"{name}: {file} can't be read: {error.strerror}") from None
        if len(key) < MIN_MASTER_KEY:
            raise SettingsError(f"{name}: {file} has {len(key)} bytes; the key needs {MIN_MASTER_KEY} or more")
        return key

    def networks(self, name: str, default: str = "") -> list[Network]:
        """Return a comma separated list of networks."""
        return [network(part, name) for part in self.items(name, default)]

    def duration(self, name: str, default: str) -> float:
        """Return seconds, from "30s" and its like."""
        text = self.text(name, default)
        try:
            return parse_duration(text)
        except ValueError as error:
            raise SettingsError(f"{PREFIX}{name} is {text!r}, which {error}") from None

    def number(self, name: str, default: int) -> int:
        """Return a whole number from 1 up."""
        text = self.text(name, str(default))
        if not text.isdigit() or int(text) < 1:
            raise SettingsError(f"{PREFIX}{name} is {text!r}: write a whole number from 1 up")
        return int(text)


def network(text: str, name: str) -> Network:
    """Return a network that stands in this variable.

    Raises
    ------
    SettingsError
        It is none.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise SettingsError(f"{PREFIX}{name}: {error}; write networks, e.g. 10.0.0.0/8") from None
