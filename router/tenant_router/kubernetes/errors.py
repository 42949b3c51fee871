"""What an API server's answer means to the router in particular; `tenant_api.apiserver_errors` has the rest."""

from __future__ import annotations

from tenant_api.apiserver_errors import ApiError


class Expired(ApiError):
    """410 Gone: the resource version or the continue token is too old. List anew."""


class ConfigurationError(Exception):
    """There is no usable way to an API server; the text says what to set."""
