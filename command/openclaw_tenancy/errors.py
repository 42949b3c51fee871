"""Errors that a person at the terminal can act on."""

from __future__ import annotations


class CommandError(Exception):
    """What went wrong and what to do, in one or a few lines."""
