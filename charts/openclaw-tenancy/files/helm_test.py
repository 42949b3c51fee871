"""What `helm test` runs in a pod: makes a template and a tenant, wakes it through the router as a client would, removes both."""

import json
import os
import secrets
import ssl
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from openclaw_protocol import frames
from openclaw_protocol.client import ClientHandshake, ConnectRefused
from openclaw_protocol.clients import ClientInfo
from tenant_api.durations import parse_duration
from tenant_api.tokens import new_token, token_hex

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
NAMESPACE = os.environ["TEST_NAMESPACE"]
ROUTER = os.environ["TEST_ROUTER"]
STORAGE_CLASS = os.environ.get("TEST_STORAGE_CLASS")
STORAGE_SIZE = os.environ["TEST_STORAGE_SIZE"]
DEADLINE = time.monotonic() + parse_duration(os.environ["TEST_TIMEOUT"])
ADDRESS = f"https://{os.environ['KUBERNETES_SERVICE_HOST']}:{os.environ['KUBERNETES_SERVICE_PORT']}"
API = f"{ADDRESS}/apis/openclaw-tenancy.dev/v1alpha1/namespaces/{NAMESPACE}"
NAME = f"helm-test-{secrets.token_hex(4)}"
PAUSE = 0.5
"""Seconds between two looks or tries, until `DEADLINE`: nothing tells a client when the next one is worth it."""


class TestFailed(Exception):
    """The deadline has passed, or an answer is final; the text says what was seen last."""


def api(method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Ask the API server as this pod's account."""
    request = urllib.request.Request(f"{API}/{path}", method=method)  # noqa: S310 - ADDRESS is https
    request.add_header("Authorization", f"Bearer {(ACCOUNT / 'token').read_text()}")
    request.add_header("Content-Type", "application/json")
    data = None if body is None else json.dumps(body).encode()
    tls = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    try:
        with urllib.request.urlopen(request, data, timeout=10, context=tls) as answer:  # noqa: S310
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        raise TestFailed(f"{method} {path}: {json.load(error).get('message')}") from None


def make(kind: str, plural: str, spec: dict[str, Any]) -> None:
    """Make one resource of the test's name."""
    body = {"apiVersion": "openclaw-tenancy.dev/v1alpha1", "kind": kind, "metadata": {"name": NAME}, "spec": spec}
    api("POST", plural, body)


def provisioned() -> float:
    """Wait until the tenant has its volume, config and Deployment; return the seconds."""
    started = time.monotonic()
    while True:
        conditions = api("GET", f"tenants/{NAME}").get("status", {}).get("conditions", [])
        state = {condition["type"]: condition for condition in conditions}
        if state.get("Provisioned", {}).get("status") == "True":
            return time.monotonic() - started
        if time.monotonic() > DEADLINE:
            said = "; ".join(f"{name} {one['status']}: {one.get('message', '')}" for name, one in state.items())
            raise TestFailed(f"the tenant is not provisioned: {said or 'no operator has said anything about it'}")
        time.sleep(PAUSE)


def talk(token: str) -> dict[str, Any]:
    """Connect as OpenClaw's CLI does, come back while the answer is "not yet", and ask for the sessions."""
    seen = "nothing"
    while time.monotonic() < DEADLINE:
        try:
            with connect(f"ws://{ROUTER}/", compression=None, open_timeout=10) as socket:
                return converse(socket, token)
        except ConnectRefused as refused:
            # A new token takes a moment to be known to every replica.
            seen = str(refused)
        except (OSError, WebSocketException) as error:
            seen = f"{type(error).__name__}: {error}"
        time.sleep(PAUSE)
    raise TestFailed(f"no answer through the router; the last was: {seen}")


def converse(socket: ClientConnection, token: str) -> dict[str, Any]:
    """Say hello, ask one thing, return the answer."""
    left = max(1.0, DEADLINE - time.monotonic())
    client = ClientInfo(id="cli", version="2026.9.6", platform="linux", mode="cli")
    handshake = ClientHandshake(client, scopes=["operator.read"], token=token)
    while handshake.hello is None:
        answer = handshake.receive(socket.recv(timeout=left))
        if answer is not None:
            socket.send(answer.decode())
    socket.send(frames.request("sessions", "sessions.list", {}).decode())
    while True:
        frame = frames.parse_frame(socket.recv(timeout=left))
        if isinstance(frame, frames.Response) and frame.id == "sessions":
            if not frame.ok:
                raise TestFailed(f"sessions.list: {frame.error}")
            return {"server": handshake.hello["server"], "sessions": frame.payload}


def main() -> None:
    """Run the test; what it made is removed either way."""
    token = new_token()
    volume = {"size": STORAGE_SIZE} | ({"storageClassName": STORAGE_CLASS} if STORAGE_CLASS else {})
    make("TenantTemplate", "tenanttemplates", {"version": "1", "runtime": "native", "volume": volume})
    try:
        make(
            "Tenant",
            "tenants",
            {
                "userId": "helm-test",
                "templateRef": {"name": NAME},
                "tokens": [{"name": "test", "sha256": token_hex(token)}],
            },
        )
        print(f"tenant {NAME}: provisioned after {provisioned():.1f} s", flush=True)
        started = time.monotonic()
        answer = talk(token)
        print(f"woken through {ROUTER} and answered after {time.monotonic() - started:.1f} s: {answer['server']}")
    finally:
        for plural in ("tenants", "tenanttemplates"):
            try:
                api("DELETE", f"{plural}/{NAME}")
            except TestFailed as error:
                print(f"left behind: {error}", file=sys.stderr)


if __name__ == "__main__":
    try:
        main()
    except TestFailed as failed:
        sys.exit(f"FAILED: {failed}")
