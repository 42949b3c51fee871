"""The Control UI from the router: the answers of a real gateway to the same requests, and nobody wakes."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from control_ui_capture import LAST_MODIFIED, Answer, Case, ask, digest
from router_world import Client, TestFleet

from tenant_local.runtimes.openclaw_runtime import OpenClawRuntime
from tenant_router.http.control_ui import OWN_AVATAR, OWN_BOOTSTRAP, SECURITY_HEADERS
from tenant_router.http.control_ui_document import content_security_policy, document
from tenant_router.http.control_ui_files import list_files
from tenant_router.http.control_ui_paths import Owner, owner
from tenant_router.server import Router
from tenant_router.settings import RouterSettings

UPSTREAM: dict[str, Any] = json.loads(Path(__file__).with_name("control_ui_upstream.json").read_text())
TERMINAL = b' data-openclaw-terminal-enabled="true"'
UNAUTHORIZED = b'{"error":{"message":"Unauthorized","type":"unauthorized"}}'
BEARER = {"Authorization": "Bearer tok-a"}
SECURITY_NAMES = {name.lower() for name in SECURITY_HEADERS}
NEED_TOKEN = (Owner.BOOTSTRAP, Owner.AVATAR, Owner.IMAGE)


def settings(folder: Path) -> RouterSettings:
    return RouterSettings(listen=("127.0.0.1", 0), admin=("127.0.0.1", 0), control_ui=folder)


@pytest.fixture
async def router(fleet: TestFleet, openclaw: OpenClawRuntime) -> AsyncIterator[Router]:
    """A router that serves the real folder and knows the token of a tenant that sleeps."""
    fleet.add("ada", "tok-a", runtime="openclaw")
    router = Router(fleet, settings(openclaw.control_ui))
    router.start()
    yield router
    await router.close()


def says_the_same(case: Case, status: int, headers: dict[str, str], body: str, got: Answer) -> bool:
    """Compare with what upstream said, but for the differences that `control_ui` documents."""
    whose = owner(case.path.partition("?")[0])
    has_token = case.headers.get("Authorization", "").lower() == "bearer token"
    if case.method not in ("GET", "HEAD") or whose is Owner.GATEWAY or (whose in NEED_TOKEN and not has_token):
        # Without a token nothing reaches a gateway; upstream's is one, and says 404 or 405 where the path is nobody's.
        return (
            status in (401, 404, 405, 429)
            and got.status == 401
            and got.body == (UNAUTHORIZED if case.method != "HEAD" else b"")
        )
    if whose is Owner.BOOTSTRAP:
        return got.status == status == 200 and (case.method == "HEAD" or json.loads(got.body) == OWN_BOOTSTRAP)
    if whose in NEED_TOKEN:
        return got.status == status and (case.method == "HEAD" or whose is Owner.IMAGE or digest(got.body) == body)
    given, sent = dict(headers), got.body
    if status == 406 or case.path.startswith("/plugins"):  # upstream's policy depends on which stage refused
        given.update({name: got.headers[name] for name in SECURITY_NAMES & got.headers.keys()})
    if given.get("content-type", "").startswith("text/html"):
        for some in (given, got.headers):
            some.pop("content-length", None)
            if case.method == "HEAD":  # upstream names no script there
                some.pop("content-security-policy")
        if given.get("content-encoding") == "br":
            wanted = "gzip" if re.search(r"gzip|\*", case.headers["Accept-Encoding"]) else None
            assert got.headers.get("content-encoding") == wanted
            del given["content-encoding"]
            got.headers.pop("content-encoding", None)
            return (status, given) == (got.status, got.headers)
        if got.headers.get("content-encoding") == "gzip":
            return (status, given) == (got.status, got.headers)
        sent = sent.replace(
            b' data-openclaw-control-ui-base-path=""', b' data-openclaw-control-ui-base-path=""' + TERMINAL
        )
    return (status, given, body) == (got.status, got.headers, digest(sent) if sent else "")


async def test_answers_are_those_of_a_real_gateway(router: Router, fleet: TestFleet) -> None:
    port = router.address[1]
    wrong = []
    for row in UPSTREAM["answers"]:
        case = Case(*row["request"])
        if case.path == "/chat" and case.headers.get("Authorization", "").lower().startswith("bearer"):
            continue  # a program with a token: test_with_a_token_unknown_paths_are_the_tenants
        modified = ""
        if "/" not in case.headers.get("If-Modified-Since", "/"):
            modified = (await ask(port, Case("GET", case.path, {}), "tok-a")).headers.get("last-modified", "")
        got = await ask(port, case, "tok-a", modified or "Wed, 23 Sep 2026 16:33:12 GMT")
        for name in ("date", "last-modified"):
            if name in got.headers:
                got.headers[name] = LAST_MODIFIED
        if not says_the_same(case, row["status"], dict(UPSTREAM["headers"][row["headers"]]), row["body"], got):
            wrong.append(
                f"{case}\n  upstream {row['status']} {UPSTREAM['headers'][row['headers']]} {row['body']}\n  router   {got}"[
                    :2000
                ]
            )
    assert len(UPSTREAM["answers"]) > 500
    assert not wrong, f"{len(wrong)} of {len(UPSTREAM['answers'])}:\n" + "\n".join(wrong[:10])
    assert not fleet.starts


async def test_document_in_gzip_is_the_same_document(router: Router) -> None:
    plain = await ask(router.address[1], Case("GET", "/chat", {}), "")
    packed = await ask(router.address[1], Case("GET", "/chat", {"Accept-Encoding": "gzip, br"}), "")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert len(packed.body) < len(plain.body) / 3


async def test_every_file_of_the_package_arrives_whole(router: Router, openclaw: OpenClawRuntime) -> None:
    for path in sorted(openclaw.control_ui.rglob("*")):
        name = path.relative_to(openclaw.control_ui).as_posix()
        if not path.is_file() or path.suffix in (".br", ".gz") or name == "index.html":
            continue
        got = await ask(router.address[1], Case("GET", f"/{name}", {}), "")
        assert (got.status, got.headers["content-length"]) == (200, str(path.stat().st_size)), name
        assert got.body == path.read_bytes(), name


async def test_page_of_a_sleeping_tenant_is_configured_without_waking(router: Router, fleet: TestFleet) -> None:
    port = router.address[1]
    got = await ask(port, Case("GET", "/control-ui-config.json", BEARER), "")
    assert (got.status, json.loads(got.body)) == (200, OWN_BOOTSTRAP)
    got = await ask(port, Case("GET", "/avatar/main?meta=1", BEARER), "")
    assert (got.status, json.loads(got.body)) == (200, OWN_AVATAR)
    for path in ("/avatar/main", "/avatar/main?v=3", "/api/users/gateway-owner/avatar", "/__openclaw__/plugin-icon/x"):
        got = await ask(port, Case("GET", path, BEARER), "")
        assert (got.status, got.headers["cache-control"]) == (404, "no-store"), path
    assert not fleet.starts


async def test_unknown_and_expired_tokens_are_refused(router: Router, fleet: TestFleet) -> None:
    fleet.add("bob", "tok-old", expires_at=1.0)
    for headers in (
        {},
        {"Authorization": "Bearer nope"},
        {"Authorization": "Bearer tok-old"},
        {"Authorization": "Basic dG9rLWE="},
    ):
        for path in ("/control-ui-config.json", "/avatar/main", "/api/users/x/avatar"):
            got = await ask(router.address[1], Case("GET", path, headers), "")
            assert (got.status, got.body) == (401, UNAUTHORIZED), (path, headers)
    assert not fleet.starts


async def test_with_a_token_unknown_paths_are_the_tenants(router: Router, fleet: TestFleet) -> None:
    """`/chat` is the app's for a browser; a program with a token may mean a plugin's route, so its gateway is asked."""
    fleet.failure = "asked"
    got = await ask(router.address[1], Case("GET", "/some/webhook", BEARER), "")
    assert (got.status, fleet.starts["ada"]) == (503, 1)
    got = await ask(router.address[1], Case("GET", "/sw.js", BEARER), "")
    assert (got.status, fleet.starts["ada"]) == (200, 1)


async def test_gateway_that_is_awake_is_asked(router: Router, fleet: TestFleet) -> None:
    client = await Client.open(router)
    assert (await client.hello("tok-a"))["ok"]
    got = await ask(router.address[1], Case("GET", "/control-ui-config.json", BEARER), "")
    assert got.status != 200  # the gateway of this test speaks WebSocket only, and says so
    assert fleet.starts["ada"] == 1
    await client.ws.close()


async def test_native_gateway_is_never_asked_for_the_page(router: Router, fleet: TestFleet) -> None:
    fleet.add("nat", "tok-n", runtime="native")
    client = await Client.open(router)
    assert (await client.hello("tok-n"))["ok"]
    got = await ask(router.address[1], Case("GET", "/control-ui-config.json", {"Authorization": "Bearer tok-n"}), "")
    assert (got.status, json.loads(got.body)) == (200, OWN_BOOTSTRAP)
    await client.ws.close()


async def test_shared_link_leads_into_the_app_and_nowhere_else(router: Router) -> None:
    port = router.address[1]
    got = await ask(port, Case("GET", "/share/chat/main/abc?catalog=x", {}), "")
    assert (got.status, got.headers["location"]) == (302, "/chat/main/abc?catalog=x")
    for path in ("/share//evil.example", "/share/chat//evil.example/", "/share/chat/", "/share/evil", "/share"):
        assert (await ask(port, Case("GET", path, {}), "")).status == 404, path


@pytest.fixture
async def made(fleet: TestFleet, tmp_path: Path) -> AsyncIterator[tuple[Router, Path]]:
    """A router with a folder of a few files, beside a secret."""
    root = tmp_path / "ui"
    (root / "assets").mkdir(parents=True)
    (root / "index.html").write_text('<!doctype html><html lang="en"><script>let a = 1</script></html>')
    (root / "assets" / "a.js").write_text("export {}")
    (tmp_path / "secret.txt").write_text("secret")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "assets" / "a.js.gz").symlink_to(tmp_path / "secret.txt")
    (root / "folder").symlink_to(tmp_path)
    (root / "in.txt").symlink_to(root / "assets" / "a.js")
    os.mkfifo(root / "pipe.txt")
    router = Router(fleet, settings(root))
    router.start()
    yield router, root
    await router.close()


async def test_nothing_outside_the_folder(made: tuple[Router, Path]) -> None:
    router, _ = made
    for path in (
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/assets/../../secret.txt",
        "/assets/..%2f..%2fsecret.txt",
        "//secret.txt",
        "/%2fetc%2fpasswd.txt",
        "/..%5csecret.txt",
        "/out.txt",
        "/folder/secret.txt",
        "/pipe.txt",
        "/secret.txt%00.js",
        "/assets/a.js.gz",
        "/a/assets/../../../secret.txt",
    ):
        got = await ask(router.address[1], Case("GET", path, {}), "")
        assert (got.status, got.body) == (404, b"Not Found"), path
    got = await ask(router.address[1], Case("GET", "/assets/a.js", {"Accept-Encoding": "gzip"}), "")
    assert (got.status, got.body) == (200, b"export {}")  # its compressed twin leads out, so there is none
    assert (await ask(router.address[1], Case("GET", "/in.txt", {}), "")).body == b"export {}"


async def test_files_are_listed_once(made: tuple[Router, Path]) -> None:
    _, root = made
    assert sorted(list_files(root)) == ["assets/a.js", "in.txt", "index.html"]


def test_policy_quotes_no_strange_host() -> None:
    plain = content_security_policy()
    for host in ("", "a@b", "a/b", "a b", "x; script-src *", "x:1; y", "x\r\ny", "[::1", "a:b"):
        assert content_security_policy(host=host) == plain
    assert content_security_policy(host="[::1]:80").endswith(" http://[::1]:* https://[::1]:*")


def test_document_without_a_build_id() -> None:
    made = document('<html><link href="./favicon.svg"><script src="./assets/x.js"></script><script>1</script></html>')
    assert made.build_id is None
    assert b'<html data-openclaw-control-ui-base-path="">' in made.body
    assert b'href="/favicon.svg"' in made.body
    assert b'src="/assets/x.js"' in made.body
    assert len(made.script_hashes) == 1
