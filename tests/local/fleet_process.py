"""A fleet in a process of its own, to be killed: `python fleet_process.py ROOT TENANT...` wakes these and says so."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from local_machine import Machine, awake


async def main() -> None:
    machine = Machine(Path(sys.argv[1]))
    async with machine.fleet(spares=1) as fleet:
        for name in sys.argv[2:]:
            address = await awake(fleet, name)
            print(json.dumps({"name": name, "port": address.port, "pid": fleet.describe(name).pid}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
