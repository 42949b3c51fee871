"""How to reach the API server: the pod's service account, or KUBECONFIG. Read by the official client, so that every
kind of kubeconfig works (client certificates, tokens, exec plugins, OIDC)."""

from __future__ import annotations

import os
import ssl
import time
from pathlib import Path

from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from .errors import ConfigurationError

RELOAD_PAUSE = 10.0
"""Seconds between two readings of the credentials after a 401: an exec plugin may take seconds and must not be stormed."""


class ApiAccess:
    """Address, TLS context and credentials of one API server."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._loaded = time.monotonic()
        self.server: str = configuration.host.rstrip("/")
        # The official client's reading of CA, client certificate, verification and proxy.
        self.ssl: ssl.SSLContext = ApiClient(configuration).rest_client.ssl_context

    @classmethod
    async def load(cls) -> ApiAccess:
        """Read the credentials: KUBECONFIG if it is set, else the service account, else `~/.kube/config`.

        Raises
        ------
        ConfigurationError
            None of them can be used.
        """
        return cls(await _load())

    async def headers(self) -> dict[str, str]:
        """Return the Authorization header; a service account's token is read again each minute, as it is rotated."""
        settings = await self._configuration.auth_settings()
        bearer = settings.get("BearerToken")
        return {"Authorization": str(bearer["value"])} if bearer is not None and bearer["value"] else {}

    async def reload(self) -> bool:
        """Read the credentials again after a 401; tell whether that was done (it is not done in a rush)."""
        now = time.monotonic()
        if now - self._loaded < RELOAD_PAUSE:
            return False
        self._loaded = now
        try:
            self._configuration = await _load()
        except ConfigurationError:
            return False
        self.ssl = ApiClient(self._configuration).rest_client.ssl_context
        return True


async def _load() -> Configuration:
    configuration = Configuration()
    # Python 3.13 asks of a CA all that RFC 5280 does, and many a cluster's own lacks its key usage or key identifiers.
    configuration.disable_strict_ssl_verification = True
    try:
        if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
            load_incluster_config(client_configuration=configuration)
        else:
            file = os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
            if not any(map(os.path.isfile, file.split(os.pathsep))):
                raise ConfigException(f"there is no file {file}")
            await load_kube_config(config_file=file, client_configuration=configuration, persist_config=False)
    except (ConfigException, OSError) as error:
        raise ConfigurationError(
            f"no way to a Kubernetes API server: {error}; run in a pod with a service account, or set KUBECONFIG"
        ) from error
    return configuration
