"""Messages at random instants around a suspend, and around a kill: a moderate number here, 200 and 100 by `benchmarks/sleep.py`."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="package")

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "sleep.py"
SLEEPS, KILLS = 30, 10
TIMEOUT = 240.0


async def test_every_message_is_answered_once_and_nobody_is_disconnected() -> None:
    argv = [sys.executable, str(PROGRAM), "--rounds", str(SLEEPS), "--kills", str(KILLS)]
    process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode == 0, (out + err).decode()
    report = json.loads(out)
    slept = report["sleep"]
    assert (slept["answers"], slept["exactly once"], slept["connections"], slept["errors"]) == (SLEEPS, SLEEPS, 1, [])
    assert slept["suspends"]["slept"] > SLEEPS / 3
    killed = report["kill"]
    assert killed["kills"] > KILLS / 2
    assert killed["in the transcript"] == killed["exactly once"] == KILLS
