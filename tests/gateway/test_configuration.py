"""The configuration: pure reading and editing, and `config.*`, `agents.files.*`, catalogs and logs of a real gateway."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from native_world import PROXY_AUTH, PROXY_HEADERS, TOKEN, USER, NativeGateway, Operator, Refused, base_config

from tenant_gateway.config.document import ConfigError, parse_config
from tenant_gateway.config.edit import REDACTED, changed_paths, merge_patch, redact, restore


def parsed(change: dict[str, Any] | None = None, **environ: str) -> Any:
    return parse_config(json.dumps(merge_patch(base_config(), change or {})).encode(), environ)


def test_variables_come_from_the_environment() -> None:
    config = parsed({"x": {"a": "${KEY}", "b": ["pre-${KEY}"], "c": "$${KEY}", "d": "${lower}"}}, KEY="value")
    assert config.get("x") == {"a": "value", "b": ["pre-value"], "c": "${KEY}", "d": "${lower}"}
    assert config.parsed["x"]["a"] == "${KEY}"
    with pytest.raises(ConfigError, match=r'x\.a: missing env var "KEY"'):
        parsed({"x": {"a": "${KEY}"}})


def test_json5_is_read_too() -> None:
    assert parse_config(b"// hello\n{gateway: {mode: 'local',},}", {}).get("gateway.mode") == "local"
    with pytest.raises(ConfigError):
        parse_config(b"{", {})


@given(st.binary(max_size=200))
def test_any_bytes_are_a_config_or_a_config_error(raw: bytes) -> None:
    with contextlib.suppress(ConfigError):
        parse_config(raw, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


@given(
    st.dictionaries(st.sampled_from(["apiKey", "token", "name", "allowUsers", "headers", "a"]), json_values, max_size=4)
)
def test_what_was_redacted_is_restored(original: dict[str, Any]) -> None:
    assert restore(redact(original), original) == original


@given(json_values, json_values)
def test_a_change_has_a_path(old: Any, new: Any) -> None:
    assert bool(changed_paths(old, new)) == (old != new)


async def test_secrets_are_not_shown(native: NativeGateway) -> None:
    native.config["gateway"]["auth"] = PROXY_AUTH
    native.config["gateway"]["trustedProxies"] = ["127.0.0.1"]
    native.config["models"]["providers"]["fake"]["headers"] = {"x-key": "sk-in-a-header"}
    await native.start()
    client = await native.operator(token=None, headers=PROXY_HEADERS)
    shown = json.dumps(await client.call("config.get", {}))
    assert "sk-fake" not in shown
    assert "sk-in-a-header" not in shown
    assert USER not in shown
    assert REDACTED in shown
    assert '"maxTokens": 4096' in shown
    await client.close()


async def test_patch_writes_the_file_and_applies(gateway: NativeGateway, operator: Operator) -> None:
    got = await operator.call("config.get", {})
    patch = {"raw": json.dumps({"agents": {"defaults": {"userTimezone": "Europe/Paris"}}}), "baseHash": got["hash"]}
    patched = await operator.call("config.patch", patch)
    assert patched["changedPaths"] == ["agents.defaults.userTimezone"]
    assert patched["hash"] != got["hash"]
    on_disk = json.loads(gateway.config_path.read_text())
    assert on_disk["agents"]["defaults"]["userTimezone"] == "Europe/Paris"
    assert on_disk["gateway"]["auth"]["token"] == TOKEN
    assert on_disk["models"]["providers"]["fake"]["apiKey"] == "sk-fake"
    with pytest.raises(Refused, match="config changed since last load"):
        await operator.call("config.patch", patch)
    again = await operator.call("config.patch", {"raw": "{}"})
    assert again["noop"] is True
    whole = await operator.call("config.get", {})
    same = await operator.call("config.set", {"raw": json.dumps(whole["parsed"]), "baseHash": whole["hash"]})
    assert same["noop"] is True


@pytest.mark.parametrize(
    ("patch", "words"),
    [
        ({"gateway": {"auth": {"token": "mine"}}}, "set by who runs this gateway"),
        ({"gateway": {"mode": "remote"}}, "invalid config"),
        ({"x": "${NOT_SET}"}, "NOT_SET"),
    ],
)
async def test_patches_that_are_refused(
    gateway: NativeGateway, operator: Operator, patch: dict[str, Any], words: str
) -> None:
    before = gateway.config_path.read_text()
    got = await operator.call("config.get", {})
    with pytest.raises(Refused, match=words):
        await operator.call("config.patch", {"raw": json.dumps(patch), "baseHash": got["hash"]})
    assert gateway.config_path.read_text() == before


async def test_agent_files(gateway: NativeGateway, operator: Operator) -> None:
    main = {"agentId": "main"}
    written = await operator.call("agents.files.set", {**main, "name": "USER.md", "content": "I am Ada."})
    got = await operator.call("agents.files.get", {**main, "name": "USER.md"})
    assert got["file"] == written["file"]
    assert (gateway.state / "workspace" / "USER.md").read_text() == "I am Ada."
    files = {file["name"]: file for file in (await operator.call("agents.files.list", main))["files"]}
    assert files["USER.md"]["size"] == 9
    assert files["MEMORY.md"] == {
        "name": "MEMORY.md",
        "path": str(gateway.state / "workspace" / "MEMORY.md"),
        "missing": True,
        "expectedAbsent": True,
    }
    with pytest.raises(Refused, match="unsupported file"):
        await operator.call("agents.files.get", {**main, "name": "../openclaw.json"})
    (gateway.state / "workspace" / "SOUL.md").symlink_to(gateway.config_path)
    assert (await operator.call("agents.files.get", {**main, "name": "SOUL.md"}))["file"]["missing"] is True
    with pytest.raises(Refused, match="unsafe workspace file"):
        await operator.call("agents.files.set", {**main, "name": "SOUL.md", "content": "x"})
    with pytest.raises(Refused, match="changed since"):
        await operator.call("agents.files.set", {**main, "name": "USER.md", "content": "x", "expectedHash": "0"})


async def test_catalogs_name_what_there_is(operator: Operator) -> None:
    models = (await operator.call("models.list", {}))["models"]
    assert [(model["provider"], model["id"], model["tags"]) for model in models] == [
        ("fake", "fake-model", ["default"])
    ]
    assert "sk-fake" not in json.dumps(await operator.call("models.authStatus", {}))
    assert {"help", "new", "model"} <= {
        command["name"] for command in (await operator.call("commands.list", {}))["commands"]
    }
    groups = {group["id"] for group in (await operator.call("tools.catalog", {}))["groups"]}
    assert groups == {"fs", "runtime", "sessions", "automation"}
    assert (await operator.call("agents.list", {}))["agents"][0]["id"] == "main"
    assert (await operator.call("agent.identity.get", {}))["name"] == "Assistant"


async def test_logs_are_followed_by_cursor(operator: Operator) -> None:
    first = await operator.call("logs.tail", {})
    assert json.loads(first["lines"][0])["1"].startswith("listening on")
    with pytest.raises(Refused):
        await operator.call("no.such")
    second = await operator.call("logs.tail", {"cursor": first["cursor"]})
    assert [json.loads(line)["1"] for line in second["lines"]] == ["no.such refused: unknown method: no.such"]
    assert (await operator.call("logs.tail", {"cursor": 10**9}))["reset"] is True
