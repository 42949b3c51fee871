"""How to reach the API server: the pod's service account, or KUBECONFIG. The same reading that kopf logs in with."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import ssl
import time
from typing import Any, Final

import aiohttp
import kopf

from .errors import LoginFailed

TOKEN_LIFE: Final = 60.0
"""Seconds for which credentials are kept: kubelets rotate a service account's token in its file long before it ends."""


class ClusterConnection(kopf.ConnectionInfo):
    """Address and credentials, with the checks of certificates that Python had before 3.13.

    Since then it asks of a CA all that RFC 5280 does, and many a cluster's own lacks its key usage or key identifiers.
    """

    def as_ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context for the API server."""
        context = super().as_ssl_context()
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context

    @classmethod
    def of(cls, info: kopf.ConnectionInfo) -> ClusterConnection:
        """Return what kopf has read."""
        return cls(**{field.name: getattr(info, field.name) for field in dataclasses.fields(info)})


def login() -> kopf.ConnectionInfo:
    """Return address and credentials: KUBECONFIG if it is set, else the service account, else `~/.kube/config`.

    Raises
    ------
    LoginFailed
        None of them can be used.
    """
    settings = kopf.OperatorSettings()
    in_cluster = "KUBECONFIG" not in os.environ
    ways: list[Any] = [kopf.login_with_kubeconfig]
    if in_cluster:
        ways.insert(0, kopf.login_with_service_account)
    try:
        for way in ways:
            if (info := way(settings=settings)) is not None:
                assert isinstance(info, kopf.ConnectionInfo)
                return ClusterConnection.of(info)
    except (OSError, KeyError, ValueError, kopf.LoginError) as error:
        raise LoginFailed(f"the credentials for the API server can't be read: {error!r}") from error
    raise LoginFailed("no way to a Kubernetes API server: run in a pod with a service account, or set KUBECONFIG")


class Access:
    """Credentials that stay fresh."""

    def __init__(self) -> None:
        self._info = login()
        self._read = time.monotonic()
        self.ssl: ssl.SSLContext | bool = self._context()

    @property
    def server(self) -> str:
        """URL of the API server."""
        return self._info.server.rstrip("/")

    async def headers(self) -> dict[str, str]:
        """Return the Authorization header, if there is one."""
        if time.monotonic() - self._read > TOKEN_LIFE:
            await self.reload()
        return self._info.as_http_headers()

    async def reload(self) -> None:
        """Read the credentials again."""
        self._read = time.monotonic()
        self._info = await asyncio.to_thread(login)

    def _context(self) -> ssl.SSLContext | bool:
        context = self._info.as_ssl_context()
        return context if context is not None else True

    def connector(self, limit: int) -> aiohttp.TCPConnector:
        """Return connections of our own, at most `limit` at once: a burst must queue here, not in the API server."""
        return aiohttp.TCPConnector(limit=limit, keepalive_timeout=60.0, ssl=self.ssl)
