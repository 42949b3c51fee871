"""Many parked clients: none hears of the sleep, all are answered when all ask at once. `benchmarks/park.py` measures 1,000."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.asyncio(loop_scope="package")

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "park.py"
CONNECTIONS, TENANTS = 60, 3
TIMEOUT = 200.0


async def test_a_storm_of_parked_clients_is_answered(tmp_path: Path) -> None:
    few = ["--connections", str(CONNECTIONS), "--tenants", str(TENANTS), "--seconds", "2", "--rounds", "1"]
    argv = [sys.executable, str(PROGRAM), *few, "--json", str(tmp_path / "out.json")]
    process = await asyncio.create_subprocess_exec(*argv, stdout=-1, stderr=-1)
    out, err = await asyncio.wait_for(process.communicate(), TIMEOUT)
    assert process.returncode == 0, (out + err).decode()
    numbers = json.loads((tmp_path / "out.json").read_text())
    assert numbers["parked_parked"] == numbers["parked_storm_answered"] == CONNECTIONS
    assert numbers["parked_connects_each"] == 1.0
    assert numbers["first_reply_connects_of_the_parked_client"] == 1
