"""What a packet from one place to another meets: programs that run inside pods, and answers by real connections.

The text of this file's two programs is put into pods as a ConfigMap; they need python3 and nothing else.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum

from .kubectl import Kubectl

TCP_PORTS = (8080, 9090)
UDP_PORT = 5353

# Echoes on TCP_PORTS and UDP_PORT.
SERVER = """\
import asyncio, sys

class Udp(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport
    def datagram_received(self, data, address):
        self.transport.sendto(data, address)

async def echo(reader, writer):
    try:
        while data := await reader.read(4096):
            writer.write(data)
    except OSError:
        pass
    writer.close()

async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Udp, ("0.0.0.0", int(sys.argv[1])))
    for port in sys.argv[2:]:
        await asyncio.start_server(echo, "0.0.0.0", int(port))
    print("listening", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""

# One word for each target `protocol,host,port`. Tried all at once, so that it takes as long as the slowest.
PROBE = """\
import concurrent.futures, socket, sys

def tcp(host, port):
    for _ in range(2):
        try:
            socket.create_connection((host, port), timeout=1).close()
            return "open"
        except TimeoutError:
            pass
        except ConnectionRefusedError:
            return "refused"
        except OSError:
            return "closed"
    return "closed"

def udp(host, port):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.3)
        s.connect((host, port))
        for _ in range(3):
            try:
                s.send(b"?")
                s.recv(9)
                return "open"
            except OSError:
                pass
    return "closed"

def one(target):
    protocol, host, port = target.split(",")
    return (tcp if protocol == "tcp" else udp)(host, int(port))

with concurrent.futures.ThreadPoolExecutor(20) as pool:
    print(*pool.map(one, sys.argv[1:]))
"""

FILES = {"server.py": SERVER, "probe.py": PROBE}
SERVE = ("python3", "/files/server.py", str(UDP_PORT), *map(str, TCP_PORTS))
PROBE_SECONDS = 30.0


class Verdict(StrEnum):
    """What came of a connection."""

    OPEN = "open"
    """It was answered."""
    CLOSED = "closed"
    """Nothing came back: a rule dropped it, or no such host."""
    REFUSED = "refused"
    """The network let it through; nobody listens."""


@dataclass(frozen=True)
class Target:
    """Where a packet is sent to."""

    host: str
    port: int
    protocol: str = "tcp"

    def __str__(self) -> str:
        return f"{self.protocol},{self.host},{self.port}"


def from_pod(kubectl: Kubectl, namespace: str, pod: str, *targets: Target) -> list[Verdict]:
    """What each of the targets is to this pod, which has FILES at /files."""
    words = ["python3", "/files/probe.py", *map(str, targets)]
    return [Verdict(word) for word in kubectl.in_pod(pod, words, namespace).split()]


def from_host(*targets: Target) -> list[Verdict]:
    """The same from this process' network."""
    argv = [sys.executable, "-c", PROBE, *map(str, targets)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PROBE_SECONDS, check=True)
    return [Verdict(word) for word in done.stdout.split()]
