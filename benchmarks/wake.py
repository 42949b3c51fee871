"""What does a wake cost? Time from a client's connect to its hello, by phase, beside starting the same process by hand.

Both runtimes, through `openclaw-tenancy up` as people have it. The bare peer is the runtime's own command with the config
that the fleet rendered and the same state directory, dialled until it says hello; it takes turns with the subject.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from load.login import LOGIN
from load.report import Report
from openclaw_tenancy.admin_client import ask
from openclaw_tenancy.demo.fakellm import FakeLLM
from openclaw_tenancy.demo.machine import Machine, machine, new_token
from tenant_local.layout import DataLayout
from tenant_local.runtimes import native, openclaw
from tenant_local.runtimes.recipe import Recipe, RuntimeMissing

RECIPES = {"native": native.recipe, "openclaw": openclaw.recipe}
GIVE_UP = 120.0
"""Seconds until a hello that did not come is an error; a cold start of upstream's takes 20."""
CONFIG = """{ models: { mode: "replace", providers: { local: { baseUrl: "%s", apiKey: "x", api: "openai-completions",
  models: [{ id: "fake-model", name: "Fake", reasoning: false, input: ["text"],
             cost: { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 }, contextWindow: 128000, maxTokens: 4096 }] } } },
  agents: { defaults: { model: { primary: "local/fake-model" } } } }"""


def write_tenants(directory: Path, llm: str) -> None:
    """Write one template and one tenant for each runtime."""
    for runtime in RECIPES:
        api = "openclaw-tenancy.dev/v1alpha1"
        spec = {"version": "1", "runtime": runtime, "wake": {"timeout": "90s"}, "config": CONFIG % llm}
        template = {"apiVersion": api, "kind": "TenantTemplate", "metadata": {"name": f"on-{runtime}"}, "spec": spec}
        (directory / f"template-{runtime}.yaml").write_text(json.dumps(template))  # JSON is YAML
        # In block style, as people write it: `token new` edits the text.
        (directory / f"{runtime}.yaml").write_text(
            f"apiVersion: {api}\nkind: Tenant\nmetadata:\n  name: {runtime}\nspec:\n"
            f"  userId: {runtime}\n  templateRef:\n    name: on-{runtime}\n"
        )


async def hello(url: str, token: str | None, headers: dict[str, str]) -> None:
    """Connect and wait for the hello, again while the answer is "not yet" or nothing listens."""
    params: dict[str, Any] = {**LOGIN, **({"auth": {"token": token}} if token else {})}
    async with asyncio.timeout(GIVE_UP):
        while True:
            try:
                async with connect(
                    url, additional_headers=headers, compression=None, max_size=None, open_timeout=GIVE_UP
                ) as ws:
                    await ws.recv()
                    await ws.send(json.dumps({"type": "req", "id": "1", "method": "connect", "params": params}))
                    answer = json.loads(await ws.recv())
                    if answer["ok"]:
                        return
                    if answer["error"]["code"] != "UNAVAILABLE":
                        raise RuntimeError(f"refused: {answer['error']}")
                    await asyncio.sleep(0.1)
            except (OSError, WebSocketException):
                await asyncio.sleep(0.02)


async def wake(up: Machine, runtime: str, token: str, report: Report) -> float:
    """Wake a sleeping tenant by a client; return milliseconds to its hello, and note the phases."""
    await asyncio.to_thread(ask, up.up, "POST", "tenants", runtime, "suspend")
    began = time.time()
    clock = time.monotonic()
    await hello(up.url, token, {})
    total = (time.monotonic() - clock) * 1000
    phases = (await up.tenant(runtime))["lastWake"]
    report.note(f"{runtime}_looked_up_ms", (phases["askedAt"] - began) * 1000)
    for phase in ("prepared", "launched", "ready"):
        report.note(f"{runtime}_{phase}_ms", phases[phase] * 1000)
    return total


async def bare(recipe: Recipe, data: Path, runtime: str) -> float:
    """Start the runtime by hand on the tenant's data; return milliseconds to its hello."""
    paths = DataLayout(data).tenant(runtime)
    config = json.loads(paths.config.read_text())["gateway"]
    (user,) = config["auth"]["trustedProxy"]["allowUsers"]
    headers = {"X-Forwarded-For": "192.0.2.1", "x-openclaw-tenant": user, "x-openclaw-router": "1"}
    argv = [sys.executable, "-m", "tenant_gateway"] if recipe.run[0] == "module" else [*recipe.run[1:]]
    env = {"PATH": os.environ["PATH"], "HOME": str(paths.home), "TMPDIR": str(paths.tmp), **recipe.env}
    env |= {"OPENCLAW_STATE_DIR": str(paths.state), "OPENCLAW_CONFIG_PATH": str(paths.config)}
    clock = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        *argv,
        cwd=paths.state,
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        await hello(f"ws://127.0.0.1:{config['port']}", None, headers)
        return (time.monotonic() - clock) * 1000
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def measure(rounds: dict[str, int], report: Report) -> None:
    """Take turns between a wake and a bare start."""
    with tempfile.TemporaryDirectory(prefix="wake-") as folder:
        root = Path(folder)
        tenants, data = root / "tenants", root / "data"
        tenants.mkdir()
        async with FakeLLM() as llm:
            write_tenants(tenants, llm.base_url)
            tokens = {runtime: await new_token(runtime, tenants) for runtime in RECIPES}
            async with machine(tenants, data, root / "up.log") as up:
                for runtime, find in RECIPES.items():
                    try:
                        recipe = find()
                    except RuntimeMissing as missing:
                        print(f"{runtime}: not measured: {missing}")
                        continue
                    await hello(up.url, tokens[runtime], {})  # the first wake makes the volume: not what a wake costs
                    for number in range(rounds[runtime]):
                        subject = await wake(up, runtime, tokens[runtime], report)
                        await asyncio.to_thread(ask, up.up, "POST", "tenants", runtime, "suspend")
                        peer = await bare(recipe, data, runtime)
                        report.compare(f"{runtime}_hello_ms", f"{runtime}_wake", subject, peer)
                        print(f"{runtime} {number + 1}: wake {subject:.0f} ms, bare {peer:.0f} ms", flush=True)


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers as flat JSON")
    parser.add_argument("--native-rounds", type=int, default=20)
    parser.add_argument("--openclaw-rounds", type=int, default=4)
    given = parser.parse_args()
    report = Report("bare")
    asyncio.run(measure({"native": given.native_rounds, "openclaw": given.openclaw_rounds}, report))
    report.finish(given.json)


if __name__ == "__main__":
    main()
