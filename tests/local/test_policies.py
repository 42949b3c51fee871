"""The pure parts: back-off, idleness, exits, logs, environment, confinement policy."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from tenant_api.egress import Egress
from tenant_api.template import EnvSource, EnvVar, KeyRef
from tenant_local import environment, exits, logfile
from tenant_local.backoff import FIRST, LONGEST, STABLE, Backoff
from tenant_local.confine import kernel, policy, seccomp
from tenant_local.idle import idle_for
from tenant_local.layout import DataError, DataLayout, TenantPaths, replace
from tenant_router.activity import TenantActivity


def test_backoff_doubles_and_forgets() -> None:
    backoff = Backoff()
    backoff.died(100.0, 0.0)
    assert backoff.wait(100.0) == 0, "the first death is answered at once"
    waits = []
    for _ in range(12):
        backoff.died(100.0, 0.0)
        waits.append(backoff.wait(100.0))
    assert waits[:4] == [FIRST, 2 * FIRST, 4 * FIRST, 8 * FIRST]
    assert waits[-1] == LONGEST
    assert backoff.wait(100.0 + LONGEST) == 0
    backoff.died(100.0, STABLE)
    assert backoff.wait(100.0) == 0, "a gateway that lived is not one that keeps dying"
    backoff.died(100.0, 0.0)
    backoff.reset()
    assert (backoff.deaths, backoff.wait(0.0)) == (0, 0.0)


def test_idle() -> None:
    assert idle_for(None, 100.0, 160.0) == 60.0
    assert idle_for(TenantActivity(connections=1, last_request=1.0), 100.0, 160.0) == 60.0
    assert idle_for(TenantActivity(connections=1, last_request=1.0), 100.0, 160.0, parks=False) is None
    assert idle_for(TenantActivity(connections=1, opening=1, last_request=1.0), 100.0, 160.0) is None
    assert idle_for(TenantActivity(last_request=150.0, last_seen=120.0), 100.0, 160.0) == 10.0
    assert idle_for(TenantActivity(last_seen=155.0), 100.0, 160.0) == 5.0
    assert idle_for(TenantActivity(last_request=200.0), 100.0, 160.0) == 0.0


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (78, "config"),
        (137, "SIGKILL"),
        (-9, "SIGKILL"),
        (134, "heap"),
        (3, "exit code 3"),
        (139, "SIGSEGV"),
        (255, "255"),
    ],
)
def test_exit_meanings(status: int, text: str) -> None:
    assert text in exits.meaning(status)


def test_log_tail_and_rotation(tmp_path: Path) -> None:
    log = tmp_path / "gateway.log"
    assert logfile.tail(log, 100) == ""
    assert not logfile.rotate(log, 10)
    descriptor = logfile.open_log(log)
    os.write(descriptor, "".join(f"line {number}\n" for number in range(100)).encode())
    assert logfile.tail(log, 10_000, 2) == "line 98\nline 99"
    assert logfile.tail(log, 20) == "line 98\nline 99\n", "whole lines only"
    assert logfile.tail_since(log, log.stat().st_size, 100) == ""
    assert logfile.rotate(log, 500)
    assert (tmp_path / "gateway.log.1").stat().st_size == 500
    os.write(descriptor, b"\x1b[31mred\x1b[0m \x07bell\tt\n")
    assert logfile.tail(log, 100) == "red bell\tt\n", "nothing in it steers a terminal"
    os.close(descriptor)


def test_environment_has_what_is_named_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-operator")
    monkeypatch.setenv("TZ", "Europe/Vienna")
    secret = EnvSource(secret_key_ref=KeyRef(name="keys", key="k"))
    template = [EnvVar(name="A", value="a"), EnvVar(name="B", value_from=secret), EnvVar(name="HOME", value="/root")]
    credentials = {"LLM_KEY": "sk-tenant", "OPENCLAW_GATEWAY_TOKEN": "x", "OPENCLAW_STATE_DIR": "/etc", "PATH": "/opt"}
    paths = TenantPaths(tmp_path)
    env = environment.build(paths, template, credentials, {"R": "r"}, {"keys": {"k": "v"}}, 2 << 30)
    assert "OPENAI_API_KEY" not in env
    assert "OPENCLAW_GATEWAY_TOKEN" not in env
    assert (env["A"], env["B"], env["R"], env["LLM_KEY"], env["TZ"]) == ("a", "v", "r", "sk-tenant", "Europe/Vienna")
    assert (env["HOME"], env["OPENCLAW_STATE_DIR"]) == (str(paths.home), str(paths.state))
    assert env["NODE_OPTIONS"] == "--max-old-space-size=1536"
    with pytest.raises(environment.SecretMissing, match="secret 'keys' does not exist"):
        environment.build(paths, template, {}, {}, {})
    with pytest.raises(environment.SecretMissing, match="key 'k' of secret 'keys'"):
        environment.build(paths, template, {}, {}, {"keys": {}})


def test_connect_ports() -> None:
    config = {
        "models": {"providers": {"a": {"baseUrl": "http://127.0.0.1:18900/v1"}, "b": {"baseUrl": "https://x.example"}}},
        "mcp": {"servers": {"m": {"url": "http://127.0.0.1:7001/mcp"}}},
        "broken": {"url": "http://x:99999999"},
        "router": {"baseUrl": "http://127.0.0.1:18789"},
    }
    annotations = {policy.CONNECT_ANNOTATION: "22, 5432 18790"}
    forbidden = frozenset({18789, 18790})
    ports = policy.connect_ports(config, annotations, {"HTTPS_PROXY": "http://p:3128"}, forbidden)
    assert ports == (22, 53, 80, 443, 3128, 5432, 7001, 18900)
    # Of a template's egress only the ports count, and no address opens what is forbidden.
    egress = [Egress("10.1.2.0/24", 8080), Egress("10.0.0.0/8", 18789)]
    assert policy.connect_ports({}, {}, {}, forbidden, egress) == (53, 80, 443, 8080)
    for wrong in ("http", "0", "70000", "-1", "²"):
        with pytest.raises(policy.PolicyError, match="is no port"):
            policy.connect_ports({}, {policy.CONNECT_ANNOTATION: wrong}, {}, forbidden)


def test_view_hides_keys_of_the_system() -> None:
    shown = [str(path) for path in policy.system_paths()]
    assert "/usr" in shown
    for secret in ("/etc/shadow", "/etc/ssl/private/key.pem", "/root/.ssh", "/home/x", "/var/lib", "/run"):
        assert not any(Path(secret).is_relative_to(path) for path in shown), secret


def test_outermost() -> None:
    paths = [Path("/usr/lib/x"), Path("/usr"), Path("/usr2"), Path("/etc/a"), Path("/etc/a")]
    assert policy.outermost(paths) == [Path("/etc/a"), Path("/usr"), Path("/usr2")]


@pytest.mark.skipif(kernel.numbers is None, reason="no system call numbers for this machine")
@pytest.mark.parametrize("allow_unix", [True, False])
def test_filter_jumps_stay_inside(allow_unix: bool) -> None:
    program = seccomp.build(allow_unix)
    count = len(program) // 8
    assert count < 4096, "BPF_MAXINSNS"
    for index, (code, yes, no, _) in enumerate(struct.iter_unpack("=HBBI", program)):
        if code & 0x07 == 0x05:
            assert index + 1 + max(yes, no) < count
    assert struct.unpack("=HBBI", program[-8:])[0] == 0x06, "ends with a verdict"


def test_data_folder(tmp_path: Path) -> None:
    layout = DataLayout(tmp_path / "data")
    key = layout.open()
    assert len(key) == 32
    assert layout.open() == key, "made once"
    assert (layout.root / "master.key").stat().st_mode & 0o777 == 0o600
    paths = layout.tenant("alice")
    assert paths.uid() == paths.uid() != layout.tenant("bob").uid()
    paths.claim("ann")
    paths.claim("ann")
    with pytest.raises(DataError, match="holds the data of user 'ann'"):
        paths.claim("bob")
    (layout.root / "master.key").write_bytes(b"short")
    with pytest.raises(DataError, match="5 bytes"):
        layout.open()
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="--data"):
        DataLayout(tmp_path / "file").open()


def test_replace_leaves_no_half_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "openclaw.json"
    replace(file, b"one")
    replace(file, b"two")
    assert file.read_bytes() == b"two"
    assert file.stat().st_mode & 0o777 == 0o600
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError):  # which one is the file system's business
        replace(tmp_path / "folder", b"x")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "openclaw.json"]
