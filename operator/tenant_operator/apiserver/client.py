"""Calls of the API server, each with a deadline and counted by verb."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Literal, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec

from tenant_api.apiserver_errors import ApiError, ApiRefused, ApiUnavailable, retry_after

from .access import Access
from .errors import Conflict, Expired, NotFound, NotServed
from .resources import Json, Resource

FIELD_MANAGER: Final = "openclaw-tenancy-operator"
"""Owner of every field that the operator applies."""
CALL: Final = 15.0
"""Seconds for one call: the API server gives up on its own after 60, and by then the world has changed."""
CONNECT: Final = 5.0
PAGE: Final = 500
"""Objects of one page of a list: 2 MB, which the API server makes in some 50 ms."""
CONNECTIONS: Final = 32
"""Calls under way at once; above that the API server's priority and fairness queues them anyway."""


class Page(NamedTuple):
    """Some of the objects of a list."""

    items: list[Json]
    version: int
    """Resource version of the whole list."""


_VERSIONS: Final = Resource("", "", "versions", "APIVersions")
_ERRORS: Final = {404: NotFound, 409: Conflict, 410: Expired}


class ApiClient:
    """One API server.

    Parameters
    ----------
    count
        Hears of each call: `count(verb, plural)`.
    field_validation
        What an apply is held to (Kubernetes: API concepts, field validation). By default, Warn, the API server reads each body
        a second time, a sixth of its CPU for a Deployment, and finds nothing that it would not refuse without: a field that
        is not in the schema can't be applied, and keys that stand twice no encoder writes.
    """

    def __init__(
        self,
        access: Access,
        count: Callable[[str, str], None],
        field_validation: Literal["Ignore", "Warn", "Strict"] = "Ignore",
    ) -> None:
        self._access = access
        self._count = count
        self._field_validation = field_validation
        self._session: aiohttp.ClientSession | None = None

    async def get(self, resource: Resource, namespace: str, name: str) -> Json:
        """Return an object."""
        return await self._call("get", "GET", resource, resource.path(namespace, name))

    async def apply(
        self,
        resource: Resource,
        namespace: str,
        body: Json,
        *,
        subresource: str = "",
        manager: str = FIELD_MANAGER,
    ) -> Json:
        """Apply an object server-side, taking the fields it has from whoever holds them; return the whole object.

        Raises
        ------
        ApiError
            See there; `Conflict` when `metadata.resourceVersion` or `uid` is given and another one is there.
        """
        path = resource.path(namespace, body["metadata"]["name"], subresource)
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self._call(
            "apply",
            "PATCH",
            resource,
            path,
            body,
            content_type="application/apply-patch+yaml",
            params={"fieldManager": manager, "force": "true", "fieldValidation": self._field_validation},
        )

    async def merge(self, resource: Resource, namespace: str, name: str, patch: Json, *, subresource: str = "") -> Json:
        """Merge a patch into an object (RFC 7396); return the whole object."""
        return await self._patch("merge", resource, resource.path(namespace, name, subresource), patch)

    async def strategic(
        self, resource: Resource, namespace: str, name: str, patch: Json, *, subresource: str = ""
    ) -> Json:
        """Merge a patch into a built-in object whose lists are merged by their keys; return the whole object."""
        return await self._patch("strategic-merge", resource, resource.path(namespace, name, subresource), patch)

    async def _patch(self, kind: str, resource: Resource, path: str, patch: Json) -> Json:
        return await self._call(
            "patch",
            "PATCH",
            resource,
            path,
            patch,
            content_type=f"application/{kind}-patch+json",
            params={"fieldManager": FIELD_MANAGER},
        )

    async def create(self, resource: Resource, namespace: str, body: Json) -> Json:
        """Create an object."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self._call("create", "POST", resource, resource.path(namespace), body)

    async def replace(self, resource: Resource, namespace: str, body: Json) -> Json:
        """Replace an object; `metadata.resourceVersion` in it makes that conditional."""
        body = {"apiVersion": resource.api_version, "kind": resource.kind, **body}
        return await self._call("update", "PUT", resource, resource.path(namespace, body["metadata"]["name"]), body)

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str = "") -> None:
        """Delete an object, if it is the one with this UID."""
        body = {"preconditions": {"uid": uid}} if uid else {}
        await self._call("delete", "DELETE", resource, resource.path(namespace, name), body)

    async def pages(
        self, resource: Resource, namespace: str, *, labels: str = "", fields: str = "", limit: int = PAGE
    ) -> AsyncIterator[Page]:
        """Yield the objects of a namespace, page by page."""
        params = {"limit": str(limit)}
        if labels:
            params["labelSelector"] = labels
        if fields:
            params["fieldSelector"] = fields
        while True:
            page = await self._call("list", "GET", resource, resource.path(namespace), params=params)
            metadata = page.get("metadata", {})
            yield Page(page.get("items") or [], int(metadata.get("resourceVersion") or 0))
            following = metadata.get("continue")
            if not following:
                return
            params["continue"] = following

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are called."""
        url = urlsplit(self._access.server)
        return url.hostname or "", url.port or 443

    async def own_addresses(self) -> frozenset[tuple[str, int]]:
        """Return hosts and ports that the API server says of itself (`GET /api`), names among them; none if it won't say.

        One of several servers behind a load balancer says only its own.
        """
        try:
            answer = await self._call("get", "GET", _VERSIONS, "/api")
        except ApiRefused:
            return frozenset()  # a cluster may keep even this from service accounts
        found = set()
        for one in answer.get("serverAddressByClientCIDRs") or []:
            host, port = _host_and_port(str(one.get("serverAddress") or ""))
            if host:
                found.add((host, port))
        return frozenset(found)

    async def close(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()

    async def _call(
        self,
        verb: str,
        method: str,
        resource: Resource,
        path: str,
        body: Json | None = None,
        *,
        content_type: str = "application/json",
        params: Mapping[str, str] | None = None,
    ) -> Json:
        self._count(verb, resource.plural)
        data = msgspec.json.encode(body) if body is not None else None
        try:
            status, answer, text = await self._send(method, path, params, data, content_type)
            if status == 401:
                await self._access.reload()
                status, answer, text = await self._send(method, path, params, data, content_type)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise ApiUnavailable(f"{method} {path}: {type(error).__name__} {error}".rstrip()) from error
        if status >= 300:
            raise _error(status, answer, text)
        found = msgspec.json.decode(text)
        assert isinstance(found, dict)
        return found

    async def _send(
        self, method: str, path: str, params: Mapping[str, str] | None, data: bytes | None, content_type: str
    ) -> tuple[int, Mapping[str, str], bytes]:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=self._access.connector(CONNECTIONS),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=CALL, sock_connect=CONNECT),
                headers={"Accept": "application/json", "User-Agent": FIELD_MANAGER},
            )
        headers = await self._access.headers()
        if data is not None:
            headers["Content-Type"] = content_type
        url = self._access.server + path
        async with self._session.request(
            method, url, params=params, data=data, headers=headers, allow_redirects=False
        ) as answer:
            return answer.status, answer.headers, await answer.read()


def _host_and_port(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit():
        host, port = text, "443"
    return host.removeprefix("[").removesuffix("]"), int(port)


def _error(code: int, headers: Mapping[str, str], text: bytes) -> ApiError:
    try:
        status = msgspec.json.decode(text)
    except msgspec.MsgspecError:
        status = None
    if not isinstance(status, dict):
        status = {"message": text[:200].decode("utf-8", "replace").strip()}
    message, reason = str(status.get("message") or ""), str(status.get("reason") or "")
    if code == 429 or code >= 500:
        return ApiUnavailable(f"{message or reason} ({code})", retry_after(headers.get("Retry-After")))
    if code == 404 and not (status.get("details") or {}).get("name"):
        return NotServed(code, reason, message)  # it names every object that is not there
    return _ERRORS.get(code, ApiRefused)(code, reason, message)
