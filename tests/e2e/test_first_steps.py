"""What a newcomer meets who does as `init` says, and who forgets the key."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp

from deadlines import eventually
from openclaw_tenancy.demo.machine import command, machine


async def test_without_a_key_the_first_request_says_what_to_write_where(tmp_path: Path) -> None:
    tenants = tmp_path / "tenants"
    process = await asyncio.create_subprocess_exec(*command(), "init", str(tenants), "--json", stdout=-1)
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    headers = {"Authorization": f"Bearer {json.loads(out)['token']}"}
    async with (
        machine(tenants, tmp_path / "data", tmp_path / "up.log") as up,
        aiohttp.ClientSession(f"http://{up.up.listen}", headers=headers) as session,
    ):
        async with session.get("/v1/models") as answer:
            assert answer.status == 503
            said = (await answer.json())["error"]["message"]
        for word in ("models.providers.openai.apiKey", "OPENAI_API_KEY", "stringData", "'model-keys'"):
            assert word in said, said
        assert said.partition(": ")[2] in (tmp_path / "up.log").read_text()
        keys = tenants / "keys.yaml"
        keys.write_text(keys.read_text().replace('OPENAI_API_KEY: ""', "OPENAI_API_KEY: sk-mine"))

        async def works() -> bool:
            async with session.get("/v1/models") as again:
                return again.status == 200

        await eventually(works, 20, "the next request after the key is there")
