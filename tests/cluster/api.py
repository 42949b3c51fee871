"""A client of the Kubernetes API in the standard library's terms: JSON in, JSON out, and watches.

It reads the kubeconfigs that `certificates.py` writes (JSON, client certificate inline); for others use kubectl.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 10.0
# The server ends a watch after timeoutSeconds; the socket must outlive that.
WATCH_SECONDS = 300
WATCH_SLACK_SECONDS = 30
MERGE_PATCH = "application/merge-patch+json"


class ApiError(Exception):
    """The API server answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class Api:
    """One cluster's API, as the user that a kubeconfig names. A request is a connection of its own."""

    def __init__(self, kubeconfig: Path) -> None:
        config = json.loads(kubeconfig.read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        address = urlsplit(cluster["server"])
        self._host, self._port = address.hostname or "", address.port or 443
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pem:  # the ssl module loads keys from files only
            pem.write(base64.b64decode(user["client-certificate-data"]))
            pem.write(base64.b64decode(user["client-key-data"]))
            pem.flush()
            self._tls.load_cert_chain(pem.name)

    def _connection(self, timeout: float) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout, context=self._tls)

    def request(
        self, method: str, path: str, body: object = None, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Raises ApiError for a status of 400 and above, OSError or HTTPException when nobody answers."""
        connection = self._connection(TIMEOUT_SECONDS)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": content_type, "Accept": "application/json"})
            response = connection.getresponse()
            text = response.read()
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(response.status, _message(text))
        answer = json.loads(text) if text.startswith(b"{") else {}
        assert isinstance(answer, dict)
        return answer

    def get(self, path: str) -> dict[str, Any]:
        return self.request("GET", path)

    def ready(self) -> bool:
        """Whether the API server says that it is ready to serve."""
        try:
            self.get("/readyz")
        except (OSError, http.client.HTTPException, ApiError):
            return False
        return True

    def watch(self, path: str, resource_version: str) -> Iterator[dict[str, Any]]:
        """Events {type, object} until the server ends the watch, as it does after some minutes."""
        query = urlencode({"watch": "1", "resourceVersion": resource_version, "timeoutSeconds": WATCH_SECONDS})
        connection = self._connection(WATCH_SECONDS + WATCH_SLACK_SECONDS)
        try:
            connection.request("GET", f"{path}?{query}", headers={"Accept": "application/json"})
            response = connection.getresponse()
            if response.status >= 400:
                raise ApiError(response.status, _message(response.read()))
            while line := response.readline():
                yield json.loads(line)
        finally:
            connection.close()


def _message(body: bytes) -> str:
    """The message of a Status object, or the body as it is."""
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body[:300].decode(errors="replace")
