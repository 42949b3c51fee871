"""A gateway that does what its config says: `{"double": {...}}` beside upstream's keys. One thread, no dependencies.

Double keys: `die` (exit code at once), `dieAfterReady`, `mute` (listens, never answers), `stubborn` (ignores SIGTERM), `slowEnd`
(seconds from SIGTERM to its end), `say` (a line for the log), `run` (a program that is started and left alone).
`GET /eval` runs the posted Python text inside this process and answers what it left in `result`; `POST /sh` runs a shell.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


def load() -> dict[str, object]:
    with open(os.environ["OPENCLAW_CONFIG_PATH"]) as file:
        config: dict[str, object] = json.load(file)
        return config


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/startupz":
            self.answer({"ok": True, "status": "started"})
        elif self.path == "/config":
            self.answer(load())
        elif self.path == "/env":
            self.answer(dict(os.environ))
        elif self.path == "/pid":
            self.answer(os.getpid())
        else:
            self.answer({"path": self.path})

    def do_POST(self) -> None:
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        if self.path == "/eval":
            names: dict[str, object] = {"result": None}
            try:
                exec(text, names)
                self.answer({"result": names["result"]})
            except BaseException as error:
                self.answer(
                    {
                        "error": type(error).__name__,
                        "errno": getattr(error, "errno", None),
                        "text": traceback.format_exc(),
                    }
                )
        elif self.path == "/sh":
            done = subprocess.run(["/bin/sh", "-c", text], capture_output=True, text=True, timeout=20, check=False)
            self.answer({"code": done.returncode, "out": done.stdout, "err": done.stderr})
        else:
            self.answer(None)

    def answer(self, value: object) -> None:
        body = json.dumps(value, default=repr).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


def main() -> None:
    settings = load().get("double", {})
    assert isinstance(settings, dict)
    if "say" in settings:
        print(settings["say"], flush=True)
    if "run" in settings:
        subprocess.Popen(settings["run"], start_new_session=True)
    if "die" in settings:
        sys.exit(settings["die"])

    def end_slowly() -> None:
        time.sleep(settings.get("slowEnd", 0))
        os._exit(0)

    def end(number: int, frame: object) -> None:
        if settings.get("stubborn"):
            return
        print("ending", flush=True)
        threading.Thread(target=end_slowly).start()

    signal.signal(signal.SIGTERM, end)
    assert os.environ["LISTEN_FDS"] == "1"
    assert os.environ["LISTEN_PID"] == str(os.getpid())
    listener = socket.socket(fileno=3)
    if settings.get("mute"):
        while True:
            signal.pause()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    if "dieAfterReady" in settings:
        threading.Timer(0.3, lambda: os._exit(settings["dieAfterReady"])).start()
    print("listening", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
