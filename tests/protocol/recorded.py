"""The recorded frames of `data/`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = Path(__file__).with_name("data")

CHALLENGE = (DATA / "challenge.json").read_bytes()
CONNECT_CLI = (DATA / "connect_cli.json").read_bytes()
CONNECT_TUI = (DATA / "connect_tui.json").read_bytes()
HELLO = (DATA / "hello.json").read_bytes()
FRAMES = (DATA / "frames.jsonl").read_text().splitlines()
VERDICTS: list[dict[str, Any]] = [
    json.loads(line) for line in (DATA / "connect_verdicts.jsonl").read_text().splitlines()
]


def params_of(frame: bytes) -> dict[str, Any]:
    """A fresh copy of the params of a recorded request."""
    params: dict[str, Any] = json.loads(frame)["params"]
    return params
