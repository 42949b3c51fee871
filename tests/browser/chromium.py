"""A headless Chromium driven over its DevTools protocol: the few commands that a person's hands and eyes need."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

START_TIMEOUT = 60.0
"""Seconds for Chromium to say where it listens: its first start on a busy machine takes about ten."""
COMMAND_TIMEOUT = 30.0
FLAGS = (
    "--headless",
    "--no-sandbox",  # tests may run as root, where Chromium's own sandbox refuses to
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1280,900",
    "--remote-debugging-port=0",
)


class ChromiumMissing(Exception):
    """There is no Chromium on this machine."""


def chromium_program() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    raise ChromiumMissing("no Chromium found; on Debian: apt-get install chromium")


class Page:
    """One tab. `console` and `requests` hold what it wrote and asked for so far."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._sent = 0
        self.console: list[str] = []
        self.requests: list[dict[str, Any]] = []
        self.responses: list[dict[str, Any]] = []
        self.frames_sent: list[str] = []
        self.frames_received: list[str] = []
        self._reader = asyncio.get_running_loop().create_task(self._read())

    async def _read(self) -> None:
        async for message in self._socket:
            told = json.loads(message)
            if (reply := self._replies.pop(told.get("id", 0), None)) is not None:
                if not reply.done():
                    reply.set_result(told)
                continue
            params = told.get("params", {})
            match told.get("method"):
                case "Runtime.consoleAPICalled":
                    words = [str(one.get("value", one.get("description", ""))) for one in params["args"]]
                    self.console.append(f"{params['type']}: {' '.join(words)}")
                case "Runtime.exceptionThrown":
                    self.console.append(
                        f"exception: {params['exceptionDetails'].get('exception', {}).get('description', params)}"
                    )
                case "Log.entryAdded":
                    entry = params["entry"]
                    self.console.append(f"{entry['level']}: {entry['text']} {entry.get('url', '')}")
                case "Network.requestWillBeSent":
                    self.requests.append(params["request"])
                case "Network.responseReceived":
                    self.responses.append(params["response"])
                case "Network.webSocketFrameSent":
                    self.frames_sent.append(params["response"]["payloadData"])
                case "Network.webSocketFrameReceived":
                    self.frames_received.append(params["response"]["payloadData"])

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        self._sent += 1
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[self._sent] = reply
        await self._socket.send(json.dumps({"id": self._sent, "method": method, "params": params}))
        told = await asyncio.wait_for(reply, COMMAND_TIMEOUT)
        if "error" in told:
            raise RuntimeError(f"{method}: {told['error']}")
        result: dict[str, Any] = told["result"]
        return result

    async def start(self) -> None:
        for domain in ("Page", "Runtime", "Network", "Log"):
            await self.command(f"{domain}.enable")

    async def goto(self, url: str) -> None:
        told = await self.command("Page.navigate", url=url)
        assert "errorText" not in told, f"{url}: {told['errorText']}"

    async def reload(self) -> None:
        await self.command("Page.reload")

    async def evaluate(self, expression: str) -> Any:
        """Return the (JSON) value of a JavaScript expression; promises are awaited."""
        told = await self.command("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise RuntimeError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    async def until(self, expression: str, timeout: float) -> Any:
        """Return the expression's first true value."""
        deadline = time.monotonic() + timeout
        last: Any = None
        while time.monotonic() < deadline:
            try:
                last = await self.evaluate(
                    f"(() => {{ {DEEP} const value = ({expression}); return value instanceof Element ? true : value; }})()"
                )
            except RuntimeError as error:  # between two documents there is nothing to evaluate in
                last = error
            if last and not isinstance(last, RuntimeError):
                return last
            await asyncio.sleep(0.1)
        text = await self.text()
        raise AssertionError(
            f"not within {timeout} s: {expression}; last {last!r}\npage: {text[:1500]}\nconsole: {self.console[-20:]}"
        )

    async def text(self) -> str:
        """All text that a reader sees, shadow roots included."""
        return str(await self.evaluate(f"(() => {{ {DEEP} return seen(document.body); }})()"))

    async def click(self, selector: str, timeout: float = 10.0, words: str = "") -> None:
        """Click the first visible element of a CSS selector (that says just these words), shadow roots included."""
        box = await self.until(f"boxOf({json.dumps(selector)}, {json.dumps(words)})", timeout)
        for kind in ("mousePressed", "mouseReleased"):
            await self.command("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    async def type(self, text: str) -> None:
        await self.command("Input.insertText", text=text)

    async def press(self, key: str, code: int) -> None:
        event = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.command("Input.dispatchKeyEvent", type="rawKeyDown", **event)
        if key == "Enter":
            await self.command("Input.dispatchKeyEvent", type="char", text="\r", **event)
        await self.command("Input.dispatchKeyEvent", type="keyUp", **event)

    async def screenshot(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        told = await self.command("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(told["data"]))

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)


DEEP = """
const all = function* (root) {
  for (const one of root.querySelectorAll('*')) { yield one; if (one.shadowRoot) yield* all(one.shadowRoot); }
};
const visible = (one) => { const box = one.getBoundingClientRect(); return box.width > 0 && box.height > 0 &&
  getComputedStyle(one).visibility !== 'hidden'; };
const pick = (selector, words) => [...all(document)].find((one) => one.matches(selector) && visible(one) &&
  (!words || one.textContent.trim() === words));
const boxOf = (selector, words) => { const one = pick(selector, words); if (!one) return null; one.scrollIntoView({block: 'center'});
  const box = one.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; };
const seen = (node) => { let text = '';
  const walk = (one) => {
    if (one.nodeType === 3) { text += one.textContent.trim() ? one.textContent.trim() + ' ' : ''; return; }
    if (one.nodeType === 1 && (['SCRIPT', 'STYLE'].includes(one.tagName) || getComputedStyle(one).display === 'none')) return;
    if (one.shadowRoot) one.shadowRoot.childNodes.forEach(walk);
    one.childNodes.forEach(walk);
  };
  walk(node); return text; };
"""


@asynccontextmanager
async def chromium(profile: Path) -> AsyncIterator[Page]:
    """Start a Chromium with this (new) profile folder and yield its page; ends the process."""
    profile.mkdir(parents=True, exist_ok=True)
    with (profile / "chromium.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            chromium_program(), *FLAGS, f"--user-data-dir={profile}", "about:blank", stdout=log, stderr=log
        )
    try:
        port = await _port(profile, process)
        async with connect(await _page_url(port), max_size=None, ping_interval=None) as socket:
            page = Page(socket)
            await page.start()
            try:
                yield page
            finally:
                await page.close()
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _port(profile: Path, process: asyncio.subprocess.Process) -> int:
    told = profile / "DevToolsActivePort"
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline and process.returncode is None:
        if told.exists() and (lines := told.read_text().split()):
            return int(lines[0])
        await asyncio.sleep(0.05)
    raise AssertionError(f"Chromium did not start: {(profile / 'chromium.log').read_text()[-2000:]}")


async def _page_url(port: int) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"GET /json/list HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
        size = next(
            int(line[15:]) for line in head.decode().lower().split("\r\n") if line.startswith("content-length:")
        )
        body = await asyncio.wait_for(reader.readexactly(size), 10)
    finally:
        writer.close()
    return str(next(one["webSocketDebuggerUrl"] for one in json.loads(body) if one["type"] == "page"))
