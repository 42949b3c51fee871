"""A way from this machine to a Service, where there is no route: as a Service does it, each connection by itself to a ready pod.

One `kubectl port-forward` for all would not do: it stays with the pod that it picked first, and ends all connections as soon
as that pod refuses one, as a router that is ending does while its last turns still run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import threading

from cluster.errors import CommandFailed
from cluster.kubectl import Kubectl

FIRST_SECONDS = 30.0
"""For kubectl to lead to a pod, on a busy machine."""
STOP_SECONDS = 10.0
CHUNK_BYTES = 1 << 16
FORWARDS = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d+) ")


class Forward:
    """Listens on one local port, and asks kubectl for each connection's way to the port `port` (its name) of a Service."""

    local: int
    """The port, known once `start` has returned."""

    def __init__(self, kubectl: Kubectl, namespace: str, service: str, port: str) -> None:
        self._kubectl, self._namespace, self._service, self._port = kubectl, namespace, service, port
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._connections: set[asyncio.Task[None]] = set()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"forward {service}")

    def start(self) -> Forward:
        self._thread.start()
        assert self._listens.wait(STOP_SECONDS)
        return self

    def stop(self) -> None:
        """End all connections, and return when their processes are gone."""
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(2 * STOP_SECONDS)

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with await asyncio.start_server(self._accept, "127.0.0.1", 0) as server:
            self.local = server.sockets[0].getsockname()[1]
            self._listens.set()
            await self._stopped.wait()
            for task in self._connections:
                task.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        try:
            if ready := await asyncio.to_thread(self._ready):
                await self._lead(reader, writer, *random.choice(ready))
        except (OSError, TimeoutError):
            pass  # either end is gone, or no way was found: the other sees its connection end
        except asyncio.CancelledError:
            pass  # by stop, and nothing comes after: Python 3.11's streams would tell it as an error
        finally:
            self._connections.discard(task)
            writer.close()

    def _ready(self) -> list[tuple[str, int]]:
        """Pods that a Service would choose from, and their port; one that is told to end is none of them."""
        label = f"kubernetes.io/service-name={self._service}"
        try:
            slices = json.loads(
                self._kubectl("get", "endpointslices", "-n", self._namespace, "-l", label, "-o", "json")
            )
        except CommandFailed:
            return []
        return [
            (endpoint["targetRef"]["name"], port["port"])
            for one in slices["items"]
            for port in one["ports"] or []
            if port["name"] == self._port
            for endpoint in one["endpoints"] or []
            if endpoint["conditions"].get("ready")
        ]

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pod: str, port: int) -> None:
        argv = [self._kubectl.program, "--kubeconfig", str(self._kubectl.kubeconfig)]
        argv += ["port-forward", "-n", self._namespace, f"pod/{pod}", f":{port}"]
        quiet = asyncio.subprocess.DEVNULL
        kubectl = await asyncio.create_subprocess_exec(*argv, stdout=asyncio.subprocess.PIPE, stderr=quiet)
        try:
            assert kubectl.stdout
            async with asyncio.timeout(FIRST_SECONDS):
                said = FORWARDS.match(await kubectl.stdout.readline())
            if not said:
                return
            there, to_there = await asyncio.open_connection("127.0.0.1", int(said[1]))
            sending = asyncio.create_task(_copy(reader, to_there))
            try:
                await _copy(there, writer)
            finally:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                to_there.close()
        finally:
            with contextlib.suppress(ProcessLookupError):
                kubectl.kill()
            await kubectl.wait()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the end, which is passed on, however it came."""
    try:
        while chunk := await source.read(CHUNK_BYTES):
            sink.write(chunk)
            await sink.drain()
    finally:
        with contextlib.suppress(OSError):
            sink.write_eof()
