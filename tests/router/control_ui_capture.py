"""Record how a real gateway answers requests for its Control UI, as `control_ui_upstream.json` for the twin test.

Start a gateway with token auth, then: python tests/router/control_ui_capture.py PORT TOKEN >tests/router/control_ui_upstream.json
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import sys
from dataclasses import dataclass
from typing import Any

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
TOKEN = "TOKEN"
"""Stands for the tenant's token in recorded requests."""
LAST_MODIFIED = "LAST-MODIFIED"
"""Stands for the file's own date, which an install sets, in recorded requests and answers."""
UNSTABLE = frozenset({"date", "connection", "keep-alive", "transfer-encoding"})
PATHS = """
/ /chat /chat/main /chat/main/foo.bar /index.html /index.html/ /sessions /settings/plugins /plugins /plugins/
/plugins/foo /plugins/ch_Zm9v /unknown /unknown.js /unknown.html /unknown.foo /assets /assets/ /assets/none.js
/ui /ui/x /api /api/x /v1 /v1/models /j /j/x /approve /approve/abc /approve/a/b /focus /focus/x /share
/share/card.png /share/x /share/session/abc /health/x /healthz/x /__openclaw__/ /__openclaw__/sw.js
/__openclaw__/chat /__openclaw__/mcp-app /__openclaw__/worker /__openclaw__/worker/x
/__openclaw__/worker-bundle/x /__openclaw__/worker-transfer/x /__openclaw__/worker-bootstrap/x
/__openclaw__/a2ui/ /__openclaw__/board/x /__openclaw__/plugins/control-ui/x /__openclaw__/plugin-icon/x
/__openclaw__/workspace-icon/x /sessions/main/history /sessions/main/kill /tools/invoke /api/users/x/avatar
/rpc /asset-manifest.json /manifest.webmanifest /sw.js /favicon.ico /favicon.svg /apple-touch-icon.png
/social-card.png /themes/knot.css /fonts/ /fonts/LICENSE /cloud-provider-icons/LICENSE-devicon
/file-icons/README.md /..%2f..%2fetc%2fpasswd /%00 /%zz.js /foo%2fbar /assets/..%2findex.html
/x/control-ui-config.json /avatar /avatar/ /avatar/a/b
"""
ENCODINGS = ["gzip", "br", "gzip, deflate, br, zstd", "identity", "*", "br;q=0, gzip;q=0.5", "identity;q=0", "*;q=0", "deflate",
             "gzip;q=1.5", ""]  # fmt: skip
ACCEPTS = ["text/html", "text/html;q=0", "text/*", "*/*", "application/xhtml+xml", "image/*", "text/html;level=1", "*/*;q=0",
           "text/html;charset=utf-8", "text/html;charset=ascii", "text/plain, text/html;q=0.1", "bad", "",
           "*/*;q=0.1, text/html;q=0"]  # fmt: skip
CONDITIONS = [
    {"If-None-Match": "*"},
    {"If-None-Match": '"abc"'},
    {"If-Modified-Since": "Tue, 24 Nov 2037 08:00:00 GMT"},
    {"If-Modified-Since": "Tue, 24 Nov 2015 08:00:00 GMT"},
    {"If-Modified-Since": LAST_MODIFIED},
    {"If-Modified-Since": "rubbish"},
    {"If-None-Match": '"abc"', "If-Modified-Since": LAST_MODIFIED},
    {"Range": "bytes=0-9"},
    {"If-Modified-Since": LAST_MODIFIED, "Accept-Encoding": "br"},
    {"If-Modified-Since": LAST_MODIFIED, "Accept-Encoding": "*;q=0"},
]
HOSTS = ["evil.example:80", "a@b", "a/b", "gw.example.com", "[::1]:99", "Gw.EXAMPLE.com:8443"]
WITH_TOKEN = """
/control-ui-config.json /__openclaw__/control-ui-config.json /__openclaw/control-ui-config.json /avatar/main
/avatar/main?meta=1 /avatar/main?v=1 /avatar/BAD%20x?meta=1 /__openclaw__/plugin-icon/x
/__openclaw__/plugin-activity-icon/x /__openclaw__/channel-avatar/x /__openclaw__/catalog-icon/x
/__openclaw__/link-favicon/x /__openclaw__/plugin-theme-art/a/b/c/d /api/users/x/avatar / /chat /sw.js
"""


@dataclass(frozen=True)
class Case:
    method: str
    path: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


def found(pattern: str, index: str) -> str:
    match = re.search(pattern, index)
    assert match is not None, pattern
    return match[1]


def cases(index: str) -> list[Case]:
    """The requests, with the hashed names that this version's `index.html` has."""
    script = found(r'src="\.?(/assets/[^"]+\.js)"', index)
    style = found(r'href="\.?(/assets/[^"]+\.css)"', index)
    build = found(r'control-ui-build-id="([^"]+)"', index)
    made = []
    for path in [*PATHS.split(), script, style, f"/a/b{script}", f"{script}.br", f"{script}.gz"]:
        made += [Case("GET", path, {}), Case("GET", path, {"Accept": BROWSER})]
        made += [Case("GET", path, {"Accept": "application/json"}), Case("HEAD", path, {"Accept": BROWSER})]
    for path in ("/", "/chat", script, "/sw.js", "/favicon.ico", "/themes/knot.css"):
        made += [Case(method, path, {"Accept-Encoding": value}) for value in ENCODINGS for method in ("GET", "HEAD")]
    for path in ("/favicon.svg", "/themes/knot.css", "/sw.js", "/social-card.png", "/manifest.webmanifest", "/"):
        queries = [f"v={build}", "v=other", f"x=1&v={build}", f"v={build}&v=other"]
        made += [Case("GET", f"{path}?{query}", {}) for query in queries]
    for path in (script, "/sw.js", "/", "/favicon.ico"):
        made += [Case(method, path, headers) for headers in CONDITIONS for method in ("GET", "HEAD")]
    for path in WITH_TOKEN.split():
        for value in (None, f"Bearer {TOKEN}", "Bearer wrong", "Basic eDp5", f"bearer {TOKEN}"):
            headers = {} if value is None else {"Authorization": value}
            made += [Case(method, path, headers) for method in ("GET", "HEAD")]
    made += [Case("GET", "/unknown", {"Accept": value}) for value in ACCEPTS]
    made += [Case("GET", "/", {"Host": value}) for value in HOSTS]
    made += [
        Case(method, path, {}) for path in ("/", "/chat", script) for method in ("POST", "PUT", "DELETE", "OPTIONS")
    ]
    return made


async def ask(port: int, case: Case, token: str, last_modified: str = "") -> Answer:
    """Send the request as it is written; no library corrects it."""
    headers = {"Host": f"127.0.0.1:{port}", **case.headers, "Connection": "close"}
    lines = [f"{case.method} {case.path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    head = "\r\n".join(lines).replace(TOKEN, token).replace(LAST_MODIFIED, last_modified)
    async with asyncio.timeout(20):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(f"{head}\r\n\r\n".encode())
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
            got = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
            body = await _body(reader, got)
        finally:
            writer.close()
    return Answer(int(status.split()[1]), {name: value for name, value in got.items() if name not in UNSTABLE}, body)


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding") != "chunked":
        return await reader.read()
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    return body


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:16]


async def capture(port: int, token: str) -> dict[str, Any]:
    index = (await ask(port, Case("GET", "/", {}), token)).body.decode()
    answers: list[dict[str, Any]] = []
    heads: list[dict[str, str]] = []
    for case in cases(index):
        modified = (await ask(port, Case("GET", case.path, {}), token)).headers.get("last-modified", "")
        answer = await ask(port, case, token, modified or "Wed, 23 Sep 2026 16:33:12 GMT")
        head = {
            name: value.replace(modified, LAST_MODIFIED) if modified else value
            for name, value in answer.headers.items()
        }
        head = dict(sorted(head.items()))
        if head not in heads:
            heads.append(head)
        answers.append(
            {
                "request": [case.method, case.path, case.headers],
                "status": answer.status,
                "headers": heads.index(head),
                "body": digest(answer.body) if answer.body else "",
            }
        )
    return {"headers": heads, "answers": answers}


def dump(recorded: dict[str, Any]) -> str:
    """One answer a line."""
    parts = []
    for name, rows in recorded.items():
        parts.append(f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]")
    return "{" + ",\n".join(parts) + "}\n"


if __name__ == "__main__":
    sys.stdout.write(dump(asyncio.run(capture(int(sys.argv[1]), sys.argv[2]))))
