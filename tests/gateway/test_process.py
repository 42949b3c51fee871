"""The process: start, health, exit codes, SIGTERM, reload."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from native_world import TOKEN, NativeGateway, Operator, Refused, base_config, text_of

from deadlines import eventually


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/healthz", {"ok": True, "status": "live"}),
        ("/health", {"ok": True, "status": "live"}),
        ("/startupz", {"ok": True, "status": "started"}),
        ("/startup", {"ok": True, "status": "started"}),
        ("/readyz", {"ready": True}),
        ("/ready?x=1", {"ready": True}),
    ],
)
async def test_health_bodies_are_upstreams(gateway: NativeGateway, path: str, body: dict[str, Any]) -> None:
    status, _, content = await gateway.http("GET", path)
    assert (status, json.loads(content)) == (200, body)


async def test_health_takes_head_and_refuses_post(gateway: NativeGateway) -> None:
    status, _, _ = await gateway.http("POST", "/healthz")
    assert status != 200
    status, headers, content = await gateway.http("HEAD", "/healthz")
    assert (status, content) == (200, b"")
    assert headers["content-length"] == "27"


async def test_requests_on_one_connection_are_answered_in_order(gateway: NativeGateway) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    head = b" HTTP/1.1\r\nHost: x\r\n"
    writer.write(
        b"GET /healthz" + head + b"\r\nGET /nowhere" + head + b"\r\nGET /readyz" + head + b"Connection: close\r\n\r\n"
    )
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert re.findall(rb"HTTP/1.1 (\d+)", answer) == [b"200", b"404", b"200"]


async def test_sigterm_lets_a_running_turn_finish(gateway: NativeGateway, operator: Operator) -> None:
    run_id = await operator.chat("SLOW:50 one two three four five six")
    await operator.event(lambda frame: frame["event"] == "chat" and frame["payload"]["state"] == "delta")
    gateway.terminate()

    async def refused() -> bool:
        with pytest.raises((Refused, ConnectionError)) as error:
            client = await gateway.operator()
            await client.close()
        return getattr(error.value, "code", "") == "UNAVAILABLE"

    await eventually(refused, 5, "a new client is told to come back")
    with pytest.raises(Refused) as busy:
        await operator.chat("more")
    assert busy.value.error["details"]["reason"] == "gateway-restarting"
    assert (await gateway.http("GET", "/readyz"))[2] == b'{"ready":false,"failing":["gateway-draining"]}'
    end = await operator.ended(run_id)
    assert end["state"] == "final"
    assert await operator.until_closed() == (1012, "service restart")
    assert operator.events[-1]["event"] == "shutdown"
    assert await gateway.ended() == 0


async def test_sigterm_when_idle_ends_at_once(gateway: NativeGateway, operator: Operator) -> None:
    gateway.terminate()
    assert await operator.until_closed() == (1012, "service restart")
    assert await gateway.ended() == 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: config["gateway"].pop("mode"), "gateway.mode"),
        (lambda config: config["gateway"]["auth"].update(mode="magic"), "gateway.auth.mode"),
        (lambda config: config["gateway"].update(port="x"), "gateway.port"),
        (lambda config: config["models"]["providers"]["fake"].update(apiKey="${NOT_SET}"), "NOT_SET"),
        (lambda config: config.update(models=[]), "models"),
    ],
)
async def test_a_wrong_config_ends_with_78(
    native: NativeGateway, change: Callable[[dict[str, Any]], None], words: str
) -> None:
    change(native.config)
    await native.start()
    assert await native.ended() == 78
    assert words in native.log.read_text()


async def test_a_second_gateway_on_a_state_directory_ends_with_78(gateway: NativeGateway, tmp_path: Path) -> None:
    second = NativeGateway(tmp_path / "second", base_config())
    await eventually((gateway.state / "tenant-gateway.sqlite").exists, 10)
    second.state = gateway.state
    await second.start()
    assert await second.ended() == 78


async def test_keys_come_from_the_environment(native: NativeGateway, llm: Any) -> None:
    native.config["models"]["providers"]["fake"]["apiKey"] = "${FAKE_KEY}"
    native.environ["FAKE_KEY"] = "sk-from-the-environment"
    await native.start()
    client = await native.operator()
    await client.turn("hello")
    await client.close()
    assert llm.requests[-1].headers["authorization"] == "Bearer sk-from-the-environment"
    assert "sk-from-the-environment" not in native.log.read_text()


async def test_an_edited_config_applies_without_a_restart(gateway: NativeGateway, operator: Operator, llm: Any) -> None:
    def edit(config: dict[str, Any]) -> None:
        fake = config["models"]["providers"]["fake"]
        fake["models"].append({**fake["models"][0], "id": "other-model"})
        config["agents"]["defaults"]["model"]["primary"] = "fake/other-model"

    gateway.write_config(edit)

    async def model_used() -> Any:
        await operator.turn("hello")
        return llm.requests[-1].body["model"] == "other-model"

    await eventually(model_used, 10)


async def test_a_broken_edit_changes_nothing(gateway: NativeGateway, operator: Operator) -> None:
    gateway.config_path.write_text("{")
    await eventually(lambda: "config reload skipped" in gateway.log.read_text(), 10)
    assert text_of(await operator.turn("still here"))


async def test_a_changed_policy_sends_clients_away(gateway: NativeGateway, operator: Operator) -> None:
    gateway.write_config(lambda config: config["gateway"]["auth"].update(token="another"))
    assert await operator.until_closed() == (4001, "gateway policy changed")
    client = await gateway.operator(token="another")
    await client.close()
    with pytest.raises(Refused):
        await gateway.operator(token=TOKEN)
