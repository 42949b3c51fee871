"""What the work queue holds."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Key(NamedTuple):
    """One thing to reconcile."""

    kind: Literal["tenant", "template", "namespace"]
    namespace: str
    name: str

    @property
    def object(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}" if self.name else f"{self.kind} {self.namespace}"


def tenant_key(namespace: str, name: str) -> Key:
    """Return the key of a tenant."""
    return Key("tenant", namespace, name)


def template_key(namespace: str, name: str) -> Key:
    """Return the key of a template."""
    return Key("template", namespace, name)


def namespace_key(namespace: str) -> Key:
    """Return the key of what a namespace has once."""
    return Key("namespace", namespace, "")
