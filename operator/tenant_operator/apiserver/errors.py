"""What the API server may answer to the operator in particular; `tenant_api.apiserver_errors` has the rest."""

from __future__ import annotations

from tenant_api.apiserver_errors import ApiError, ApiRefused


class NotFound(ApiRefused):
    """The object, its namespace or its kind is not there."""


class NotServed(NotFound):
    """The API server does not know the kind or the subresource at all: it is too old for it, or the CRDs are not there."""


class Conflict(ApiRefused):
    """Somebody changed the object meanwhile, or it is there already."""


class Expired(ApiRefused):
    """The continue token or resource version is too old: list anew."""


class LoginFailed(ApiError):
    """Neither a service account nor a kubeconfig can be used; the text says what to do."""
