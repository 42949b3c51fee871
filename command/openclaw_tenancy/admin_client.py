"""Asks a running `up` over its admin port."""

from __future__ import annotations

import json
from http.client import HTTPConnection, HTTPException
from typing import Any
from urllib.parse import quote

from .errors import CommandError
from .running import RunningUp

TIMEOUT = 400.0
"""Seconds: a suspend may wait for upstream's drain (325 s)."""


def ask(up: RunningUp, method: str, *path: str, query: str = "") -> Any:
    """Return the JSON answer of one admin request.

    Raises
    ------
    CommandError
        It does not answer, or says no; its reason is the text.
    """
    host, _, port = up.admin.rpartition(":")
    target = "/" + "/".join(quote(part, safe="") for part in path) + (f"?{query}" if query else "")
    connection = HTTPConnection(host.removeprefix("[").removesuffix("]"), int(port), timeout=TIMEOUT)
    try:
        connection.request(method, target, headers={"Authorization": f"Bearer {up.token}"})
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, HTTPException) as error:
        raise CommandError(f"`up` (pid {up.pid}) does not answer on its admin port {up.admin}: {error}") from None
    finally:
        connection.close()
    try:
        content = json.loads(body)
    except ValueError:
        raise CommandError(
            f"{up.admin} gave no JSON (status {answer.status}); is it an `openclaw-tenancy up`?"
        ) from None
    if answer.status >= 400:
        raise CommandError(str(content.get("detail", content)))
    return content
