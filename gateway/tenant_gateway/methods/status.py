"""`health`, `status`, `system.info`, `system-presence`."""

from __future__ import annotations

import os
import platform
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tenant_gateway.methods.registry import Call
from tenant_gateway.settings import UPSTREAM_VERSION
from tenant_gateway.storage.sessions import DEFAULT_AGENT, now_ms

if TYPE_CHECKING:
    from tenant_gateway.gateway import Gateway


def health(call: Call) -> dict[str, Any]:
    """`health`: the snapshot that hello-ok and the `health` event carry too."""
    return health_snapshot(call.gateway)


def health_snapshot(gateway: Gateway) -> dict[str, Any]:
    """Return upstream's health snapshot. No channels, no plugins, no heartbeat: this runtime has none."""
    started = time.monotonic()
    now = now_ms()
    recent = [{"key": key, "updatedAt": at, "age": now - at} for key, at in gateway.sessions.recent(5)]
    sessions = {"path": str(gateway.settings.database), "count": gateway.sessions.count(), "recent": recent}
    heartbeat = {"enabled": False, "every": "0m", "everyMs": None, "prompt": "", "target": "none", "ackMaxChars": 300}
    return {
        "ok": True,
        "ts": now,
        "durationMs": int((time.monotonic() - started) * 1000),
        "plugins": {"loaded": [], "errors": [], "unavailable": []},
        "configReload": {"hotReloadStatus": "active"},
        "channels": {},
        "channelOrder": [],
        "channelLabels": {},
        "heartbeatSeconds": 0,
        "defaultAgentId": DEFAULT_AGENT,
        "agents": [{"agentId": DEFAULT_AGENT, "isDefault": True, "heartbeat": heartbeat, "sessions": sessions}],
        "sessions": sessions,
        "eventLoop": {"degraded": False, "degradedSinceMs": None, "reasons": []},
    }


def presence(call: Call) -> list[dict[str, Any]]:
    """`system-presence`: the gateway itself and who is connected."""
    return presence_list(call.gateway)


def presence_list(gateway: Gateway) -> list[dict[str, Any]]:
    """Return the presence entries, the gateway's own first."""
    host = socket.gethostname()
    text = f"Gateway: {host} · app {UPSTREAM_VERSION} · mode gateway · reason self"
    entries: list[dict[str, Any]] = [
        {
            "host": host,
            "version": UPSTREAM_VERSION,
            "platform": f"linux {os.uname().release}",
            "deviceFamily": "Linux",
            "mode": "gateway",
            "reason": "self",
            "instanceId": gateway.boot_id,
            "text": text,
            "ts": now_ms(),
        }
    ]
    for client in gateway.clients:
        if client.params is None or not client.params.client.instance_id:
            continue
        info = client.params.client
        name = info.display_name or info.id
        entries.append(
            {
                "host": name,
                "version": info.version,
                "platform": info.platform,
                "mode": info.mode,
                "reason": "connect",
                "instanceId": info.instance_id,
                "text": f"{name} · {info.version} · mode {info.mode}",
                "ts": client.connected_at_ms,
            }
        )
    return entries


def system_info(call: Call) -> dict[str, Any]:
    """`system.info`: the process and the machine."""
    gateway = call.gateway
    load = os.getloadavg()
    pages = os.sysconf("SC_PAGE_SIZE")
    return {
        "version": UPSTREAM_VERSION,
        "machineName": socket.gethostname(),
        "osLabel": f"Linux {os.uname().release}",
        "port": call.gateway.port,
        "memoryTotalBytes": pages * os.sysconf("SC_PHYS_PAGES"),
        "memoryFreeBytes": pages * os.sysconf("SC_AVPHYS_PAGES"),
        "processMemory": {"rssBytes": pages * int(Path("/proc/self/statm").read_text().split()[1])},
        "pid": os.getpid(),
        "processInstanceId": gateway.boot_id,
        "uptimeMs": int((time.monotonic() - gateway.started) * 1000),
        "hostname": socket.gethostname(),
        "platform": "linux",
        "release": os.uname().release,
        "arch": platform.machine(),
        "loadAverage": list(load),
        "cpuCount": os.cpu_count() or 1,
        "runtime": {"name": "native", "python": platform.python_version()},
    }


def status(call: Call) -> dict[str, Any]:
    """`status`: what `openclaw status` shows of a gateway."""
    from tenant_gateway.methods.session_rows import status_row

    gateway = call.gateway
    recent = [status_row(gateway, session) for session in gateway.sessions.all()[:10]]
    path = str(gateway.settings.database)
    from tenant_gateway.agent.models import context_tokens, primary_model

    model = primary_model(gateway.config)
    return {
        "runtimeVersion": UPSTREAM_VERSION,
        "pid": os.getpid(),
        "heartbeat": {
            "defaultAgentId": DEFAULT_AGENT,
            "agents": [{"agentId": DEFAULT_AGENT, "enabled": False, "every": "0m", "everyMs": None}],
        },
        "channelSummary": [],
        "queuedSystemEvents": [],
        "tasks": {"total": 0, "active": 0, "terminal": 0, "failures": 0, "byStatus": {}, "byRuntime": {}},
        "sessions": {
            "paths": [path],
            "count": gateway.sessions.count(),
            "defaults": {
                "model": None if model is None else model.id,
                "contextTokens": context_tokens(gateway.config, model),
            },
            "recent": recent,
            "byAgent": [{"agentId": DEFAULT_AGENT, "path": path, "count": gateway.sessions.count(), "recent": recent}],
        },
    }
