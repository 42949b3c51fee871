"""`logs.tail`."""

from __future__ import annotations

from typing import Any, Final

from tenant_gateway.methods.registry import Call

_DEFAULT_LINES: Final = 500
_MAX_BYTES: Final = 1_000_000


def tail(call: Call) -> dict[str, Any]:
    """`logs.tail`: lines of the log after a cursor; without one, the last lines."""
    path = call.gateway.settings.log_path
    limit = call.number("limit", _DEFAULT_LINES, 1, 5000)
    budget = call.number("maxBytes", 250_000, 1, _MAX_BYTES)
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            cursor = call.number("cursor", -1, -1)
            reset = cursor > size
            start = cursor if 0 <= cursor <= size else max(0, size - budget)
            truncated = size - start > budget
            if truncated:
                start = size - budget
            file.seek(start)
            data = file.read(budget)
    except FileNotFoundError:
        return {"file": str(path), "cursor": 0, "size": 0, "lines": [], "truncated": False, "reset": False}
    if (start and cursor != start) or truncated:
        data = data[data.find(b"\n") + 1 :]
    lines = data.decode(errors="replace").splitlines()
    return {
        "file": str(path),
        "cursor": size,
        "size": size,
        "lines": lines[-limit:],
        "truncated": truncated or len(lines) > limit,
        "reset": reset,
    }
